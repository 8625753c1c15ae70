// One answered exchange of two real servers with everything that JAdES files of level B-LT take: lists of its authorities, and
// a time-stamp authority that also makes lists.
import { createCrl } from '#certs/crl-make.ts';
import type { JadesTrust } from '#certs/jades-verify.ts';
import { verifyTimeStampToken } from '#certs/time-stamp.ts';
import { makeTimeStampToken } from '#certs/time-stamp-make.ts';
import type { JadesOptions } from '#core/evidence/jades-export.ts';
import { openPackSetting, type PackSetting } from '#scripts/campaign/pack-setting.ts';
import { certificate, ext, pair } from '../certs/make-certificate.ts';

export const HOUR_MS = 3_600_000;
const STAMPING = '1.3.6.1.5.5.7.3.8';

/** An authority for time-stamps that also makes revocation lists. */
export const stamper = (() => {
  const [rootKey, key] = [pair(), pair()];
  const named = { issuer: 'CN=Stamp root', signer: rootKey, notAfter: '2049-01-01T00:00:00Z' };
  const basic = [ext.basic(true), ext.usage(5, 6), ext.subjectKey(rootKey.id)];
  const root = certificate({ subject: 'CN=Stamp root', ...named, key: rootKey, extensions: basic });
  const purposes = { ...ext.purposes(STAMPING), critical: true };
  const known = [ext.usage(0, 1), purposes, ext.subjectKey(key.id), ext.authorityKey(rootKey.id)];
  const leaf = certificate({ subject: 'CN=Stamper', ...named, key, extensions: known });
  return { root, leaf, rootKey, signer: { privateKey: key.privateKey, certificates: [leaf], policy: '1.2.3' } };
})();

export function stampOf(imprint: Buffer, genTimeMs = Date.now()) {
  const asked = { imprint: { hash: 'sha256' as const, digest: imprint }, nonceHex: null, wantsCertificates: true };
  const token = makeTimeStampToken(stamper.signer, asked, {
    genTimeMs,
    accuracyMs: 1_000,
    serial: Buffer.from('1234'),
  });
  return { token, facts: verifyTimeStampToken(token, imprint, [stamper.root], genTimeMs) };
}

export interface World {
  made: PackSetting;
  pack: Map<string, Buffer>;
  options: JadesOptions;
  trust: JadesTrust;
}
let opened: Promise<World> | undefined;
export function world(): Promise<World> {
  opened ??= (async () => {
    const made = await openPackSetting({ ocsp: true });
    const pack = await made.files('provider', await made.ask(), false);
    const { authority, identities } = made.pair;
    const nowMs = Date.now();
    const order = { number: 2, thisUpdateMs: nowMs - HOUR_MS, nextUpdateMs: nowMs + HOUR_MS };
    const stampRoot = { role: 'root' as const, der: stamper.root, privateKey: stamper.rootKey.privateKey };
    const crls = [
      await authority.revocationList(order),
      await authority.revocationList({ ...order, number: 1, thisUpdateMs: nowMs - 2 * HOUR_MS }),
      await authority.revocationList(order, 'root'),
      await createCrl(stampRoot, [], order),
    ];
    const text = (ders: readonly Buffer[]) => ders.map((der) => der.toString('base64url'));
    const { anchors, intermediates } = authority.trust;
    const seal = { key: identities.provider.keys.signing.key, certificate: made.certificateOf('provider'), ocsp: null };
    const options: JadesOptions = {
      trust: [{ anchors: text(anchors), intermediates: text(intermediates), crls: [] }],
      ...{ timeStampCertificates: [stamper.root], stamp: async (imprint) => stampOf(imprint), crls, seal, nowMs },
    };
    return { made, pack, options, trust: { anchors, timeStampCertificates: [stamper.root], nowMs } };
  })();
  return opened;
}
export async function closeWorld(): Promise<void> {
  await (await opened)?.made.close();
  opened = undefined;
}

export const FILES = [
  'request.jades.json',
  'request.sealed.jades.json',
  'answer.jades.json',
  'answer.sealed.jades.json',
];
export type Json = Record<string, unknown>;

/** A file as a stranger reads it. */
export function strange(bytes: Buffer = Buffer.alloc(0)) {
  const file = JSON.parse(bytes.toString()) as { header: Json; payload: string; protected: string; signature: string };
  const signed = JSON.parse(Buffer.from(file.protected, 'base64url').toString()) as Json;
  const etsiU = file.header['etsiU'] as string[];
  const elements = etsiU.map((one) => JSON.parse(Buffer.from(one, 'base64url').toString()) as Json);
  const of = (name: string) => elements.filter((one) => name in one).map((one) => one[name]);
  return { file, signed, etsiU, elements, of };
}
