// Tokens for tests, put together so that a case can change one thing: what is stated, what is signed, with which key and
// algorithm, and what lies beside. Everything has a fit default.
import { constants, createHash, type KeyObject, sign } from 'node:crypto';
import { certificate, der, ext, integer, type KeyPair, oid, pair, sequence } from './make-certificate.ts';

export const IMPRINT = createHash('sha256').update('a checkpoint').digest();
export const AT = Date.parse('2026-06-01T12:00:00Z');
const STAMPING = '1.3.6.1.5.5.7.3.8';
const ID = '1.2.840.113549.1';

export interface World {
  rootKey: KeyPair;
  root: Buffer;
  key: KeyPair;
  leaf: Buffer;
}

export interface LeafWish {
  purposes?: string[];
  critical?: boolean;
  notAfter?: string;
  kind?: Parameters<typeof pair>[0];
  key?: KeyPair;
  world?: World;
}

export function makeLeaf(wish: LeafWish = {}): World {
  const rootKey = wish.world?.rootKey ?? pair();
  const root =
    wish.world?.root ??
    certificate({
      subject: 'CN=Stamp root',
      issuer: 'CN=Stamp root',
      key: rootKey,
      signer: rootKey,
      extensions: [ext.basic(true), ext.usage(5), ext.subjectKey(rootKey.id)],
    });
  const key = wish.key ?? pair(wish.kind ?? 'P-256');
  const leaf = certificate({
    subject: 'CN=Stamper',
    issuer: 'CN=Stamp root',
    key,
    signer: rootKey,
    ...(wish.notAfter !== undefined && { notAfter: wish.notAfter }),
    extensions: [
      ext.usage(0, 1),
      { ...ext.purposes(...(wish.purposes ?? [STAMPING])), critical: wish.critical ?? true },
      ext.subjectKey(key.id),
      ext.authorityKey(rootKey.id),
    ],
  });
  return { rootKey, root, key, leaf };
}

export interface TokenWish {
  imprint?: Buffer;
  imprintAlgorithm?: string;
  hash?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  scheme?: 'plain' | 'pkcs1' | 'pss';
  signatureAlgorithm?: Buffer;
  genTime?: string;
  version?: number;
  infoExtra?: Buffer[];
  nonce?: number;
  contentType?: string;
  /** Replaces the signed attributes, from what they would be. */
  attributes?: (usual: Record<string, Buffer>) => Buffer[];
  essHash?: 'sha1' | 'sha256' | 'none';
  essOf?: Buffer;
  /** Changes what goes into the token after it was signed. */
  content?: (info: Buffer) => Buffer;
  unsigned?: Buffer;
  certificates?: Buffer[] | null;
  signers?: (signer: Buffer) => Buffer[];
  signingKey?: KeyObject;
  signerName?: Buffer;
}

const HASHES = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
};
const ECDSA = {
  sha1: '1.2.840.10045.4.1',
  sha256: '1.2.840.10045.4.3.2',
  sha384: '1.2.840.10045.4.3.3',
  sha512: '1.2.840.10045.4.3.4',
};
const NULL = der(0x05);

/** RSASSA-PSS-params with a salt of `salt` octets. */
export function pssAlgorithm(hash: keyof typeof HASHES, salt: number, mask: keyof typeof HASHES = hash): Buffer {
  const digest = (one: keyof typeof HASHES) => sequence(oid(HASHES[one]), NULL);
  const mgf = sequence(oid(`${ID}.1.8`), digest(mask));
  return sequence(oid(`${ID}.1.10`), sequence(der(0xa0, digest(hash)), der(0xa1, mgf), der(0xa2, integer(salt))));
}

export const attribute = (type: string, ...values: Buffer[]) => sequence(oid(type), der(0x31, ...values));

export function makeToken(world: World, wish: TokenWish = {}): Buffer {
  const hash = wish.hash ?? 'sha256';
  const info = sequence(
    integer(wish.version ?? 1),
    oid('1.2.3.4'),
    sequence(sequence(oid(wish.imprintAlgorithm ?? HASHES.sha256), NULL), der(0x04, wish.imprint ?? IMPRINT)),
    integer(77),
    der(0x18, Buffer.from(wish.genTime ?? '20260601115959.5Z')),
    sequence(integer(1), der(0x80, [100])),
    ...(wish.nonce === undefined ? [] : [integer(wish.nonce)]),
    ...(wish.infoExtra ?? []),
  );
  const essHash = wish.essHash ?? 'sha256';
  const leafHash = (name: string) =>
    der(
      0x04,
      createHash(name)
        .update(wish.essOf ?? world.leaf)
        .digest(),
    );
  const usual: Record<string, Buffer> = {
    type: attribute(`${ID}.9.3`, oid(`${ID}.9.16.1.4`)),
    digest: attribute(`${ID}.9.4`, der(0x04, createHash(hash).update(info).digest())),
    signer:
      essHash === 'sha1'
        ? attribute(`${ID}.9.16.2.12`, sequence(sequence(sequence(leafHash('sha1')))))
        : attribute(`${ID}.9.16.2.47`, sequence(sequence(sequence(leafHash('sha256'))))),
  };
  if (essHash === 'none') delete usual['signer'];
  const attributes = wish.attributes?.(usual) ?? Object.values(usual);
  const set = der(0x31, ...attributes.toSorted(Buffer.compare));
  const signer = sequence(
    integer(1),
    sequence(wish.signerName ?? issuerOf(), serialOf(world.leaf)),
    sequence(oid(HASHES[hash])),
    Buffer.concat([Buffer.from([0xa0]), set.subarray(1)]),
    wish.signatureAlgorithm ?? algorithmOf(world.key, wish.scheme ?? 'plain', hash),
    der(0x04, signed(wish.signingKey ?? world.key.privateKey, wish.scheme ?? 'plain', hash, set)),
    ...(wish.unsigned === undefined ? [] : [der(0xa1, wish.unsigned)]),
  );
  const certificates = wish.certificates === undefined ? [world.leaf] : wish.certificates;
  return sequence(
    oid(`${ID}.7.2`),
    der(
      0xa0,
      sequence(
        integer(3),
        der(0x31, sequence(oid(HASHES[hash]))),
        sequence(oid(wish.contentType ?? `${ID}.9.16.1.4`), der(0xa0, der(0x04, wish.content?.(info) ?? info))),
        ...(certificates === null ? [] : [der(0xa0, ...certificates)]),
        der(0x31, ...(wish.signers?.(signer) ?? [signer])),
      ),
    ),
  );
}

function algorithmOf(key: KeyPair, scheme: string, hash: keyof typeof HASHES): Buffer {
  if (scheme === 'pss') return pssAlgorithm(hash, createHash(hash).update('').digest().length);
  if (key.privateKey.asymmetricKeyType === 'rsa') return sequence(oid(`${ID}.1.1`), NULL);
  return sequence(oid(ECDSA[hash]));
}

function signed(key: KeyObject, scheme: string, hash: string, bytes: Buffer): Buffer {
  const padding =
    scheme === 'pss' ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
  return sign(key.asymmetricKeyType === 'ed25519' ? null : hash, bytes, { key, ...padding });
}

const issuerOf = () => sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from('Stamp root')))));

/** The serial number of one of our short test certificates, as encoded. */
function serialOf(leaf: Buffer): Buffer {
  const at = leaf.indexOf(Buffer.from('a003020102', 'hex')) + 5;
  return leaf.subarray(at, at + 2 + (leaf[at + 1] ?? 0));
}

/** The same value in BER: every constructed value of indefinite length, and octet strings in pieces where asked. */
export function asBer(value: Buffer, pieces = false): Buffer {
  const tag = value[0] ?? 0;
  const long = (value[1] ?? 0) >= 0x80 ? (value[1] ?? 0) & 0x7f : 0;
  const begin = 2 + long;
  const body = value.subarray(begin);
  if (pieces && tag === 0x04 && body.length > 8) {
    const half = body.length >> 1;
    const parts = [der(0x04, body.subarray(0, half)), der(0x04, body.subarray(half))];
    return Buffer.concat([Buffer.from([0x24, 0x80]), ...parts, Buffer.from([0, 0])]);
  }
  if ((tag & 0x20) === 0) return value;
  const inner: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const octets = (body[at + 1] ?? 0) >= 0x80 ? (body[at + 1] ?? 0) & 0x7f : 0;
    const length = octets === 0 ? (body[at + 1] ?? 0) : body.readUIntBE(at + 2, octets);
    const end = at + 2 + octets + length;
    inner.push(asBer(body.subarray(at, end), pieces));
    at = end;
  }
  return Buffer.concat([Buffer.from([tag, 0x80]), ...inner, Buffer.from([0, 0])]);
}
