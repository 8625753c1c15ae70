// What the exporter of an evidence pack knows of the time-stamp authority, beside the configuration: lists and OCSP answers that
// its server kept, by which a pack rests on a time-stamp that still counts, or on none.
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeDevelopmentTimeStampSigner } from '#certs/development-time-stamp-signer.ts';
import { answerOcsp } from '#certs/ocsp-make.ts';
import { makeOcspRequest } from '#certs/ocsp-request.ts';
import { exportPack } from '#core/evidence/export-pack.ts';
import { verifyPack } from '#core/evidence/verify-pack.ts';
import { TIME_STAMP_STATUS_FILE, writeKeptStatus } from '#core/time-stamp-status-file.ts';
import type { Files } from '#scripts/campaign/pack-edits.ts';
import type { PackSetting } from '#scripts/campaign/pack-setting.ts';
import { scriptVerdict } from '#scripts/campaign/pack-verdicts.ts';

const hour = 3_600_000;

export async function knownToTheExporter(t: Test, made: PackSetting): Promise<void> {
  const { stamper } = made;
  const folder = join(made.pair.folder, 'provider');
  const [log, recordKeys, configuration] = ['log', 'record-keys', 'configuration'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const inUse = { folder: log, origin: made.pair.provider.parts.log.origin };
  const stampStatus = join(folder, TIME_STAMP_STATUS_FILE);
  const place = { server: made.pair.provider.id, log, inUse, recordKeys, configuration, stampStatus };
  const stamped = await made.ask();
  await made.anchorLog('provider');
  const exported = () => exportPack(place, { exchange: stamped, storageKey: null, nowMs: Date.now() });
  const knows = (...lists: Buffer[]) => {
    const sources = lists.map((bytes, at) => ({ key: `crl http://127.0.0.1:1/${at}`, thisUpdateMs: 0, bytes }));
    return writeKeptStatus(stampStatus, { sources, paths: [] });
  };
  const stateOfStamp = (files: Map<string, Buffer>) => {
    const { checks } = verifyPack(files, { anchor: made.anchor, nowMs: Date.now() });
    return checks.find(({ name }) => name === 'time-stamp')?.code ?? 'good';
  };
  const before = await exported();
  t.equal(stateOfStamp(made.seal('provider', before)), 'good');
  const stranger = await makeDevelopmentTimeStampSigner('north', Date.now());
  const stolen = { atMs: Date.now() - hour, reason: 1 };
  await knows(stamper.list(2, Date.now()), stranger.list(3, Date.now(), stolen));
  t.same(await exported(), before, 'byte for byte');
  await knows(stamper.list(3, Date.now(), stolen));
  const without = made.seal('provider', await exported());
  t.equal(stateOfStamp(without), 'TIME_STAMP_MISSING');
  const stampLine = async (files: Files) =>
    (await scriptVerdict(made, files)).lines.find((line) => / time-stamp\b/.test(line));
  t.match(await stampLine(without), /TIME_STAMP_MISSING/);
  // By an answer alone, which does not travel: what nobody else could see to be over is not shown at all.
  const answer = (atMs: number, reason: number) => {
    const request = makeOcspRequest(stamper.certificates[0]!, stamper.root, 'sha-1');
    const responder = { issuer: stamper.root, certificate: stamper.root, privateKey: stamper.rootKey };
    const statusOf = () => ({ revokedAtMs: atMs, reason });
    return answerOcsp(request, { ...responder, statusOf, validityMs: hour }, Date.now());
  };
  const answered = (bytes: Buffer) =>
    writeKeptStatus(stampStatus, { sources: [{ key: 'ocsp http://127.0.0.1:1/', thisUpdateMs: 0, bytes }], paths: [] });
  const shownOf = (files: Files) => [...files.keys()].filter((name) => /token|before/.test(name)).sort();
  await answered(answer(stolen.atMs, 1));
  const unshown = made.seal('provider', await exported());
  t.same(
    [shownOf(unshown).includes('log/token.aggregate.1.der'), stateOfStamp(unshown)],
    [false, 'TIME_STAMP_MISSING'],
  );
  t.not(unshown.get('before/note')?.toString(), before.get('before/note')?.toString(), 'nor the bound before');
  t.match(await stampLine(unshown), /TIME_STAMP_MISSING/);
  // A later anchoring whose time-stamp counts makes up for it, and the older one's lower bound stays.
  await made.anchorLog('provider', undefined, Date.now() - 120_000);
  await answered(answer(Date.now() - 60_000, 4));
  const later = made.seal('provider', await exported());
  t.equal(stateOfStamp(later), 'good', 'of the next one');
  t.not(later.get('log/checkpoint')?.toString(), before.get('log/checkpoint')?.toString());
  t.same(shownOf(later), ['before/entry', 'before/inclusion', 'before/note', 'log/token.aggregate.1.der']);
}
