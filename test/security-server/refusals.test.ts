// What a provider refuses after it verified who asks: decided in a fixed order, signed, logged on both sides under one
// decision hash, and replayable from the archived inputs by anyone.
import t, { type Test } from 'tap';
import { archiveDecision, decide } from '#policy/decide.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import type { LocalService } from '#security-server/state.ts';
import { type Asked, auditBoth, entries, kinds, post } from './asking.ts';

t.setTimeout(120_000);

interface Row {
  name: string;
  /** The one access right; null for none. */
  right?: Partial<AccessRight> | null;
  service?: Partial<LocalService> | null;
  ask?: Record<string, unknown>;
  /** `ok` or the refusal. */
  says: string;
  status?: number;
  detail?: string;
}

const law = { bases: ['law' as const], casePattern: 'A##', statute: 'Act 7' };
const lawful = { basis: 'law', userId: 'official-7', issue: 'X12' };
const now = Date.now();

const ROWS: Row[] = [
  { name: 'everything in order', says: 'ok' },
  { name: 'no right', right: null, says: 'ACCESS_DENIED' },
  { name: "another client's right", right: { client: 'DEV/GOV/1001/other' }, says: 'ACCESS_DENIED' },
  { name: 'registered, but unknown to the provider', service: null, says: 'SERVICE_UNKNOWN', status: 404 },
  {
    name: 'disabled',
    service: { enabled: false, notice: 'until Monday' },
    says: 'SERVICE_DISABLED',
    status: 503,
    detail: 'until Monday',
  },
  { name: 'no right at a disabled one', right: null, service: { enabled: false }, says: 'ACCESS_DENIED' },
  {
    name: 'another method',
    right: { endpoints: [{ method: 'GET', path: '/**' }] },
    ask: { method: 'POST' },
    says: 'ACCESS_DENIED',
  },
  { name: 'the method', right: { endpoints: [{ method: 'POST', path: '/**' }] }, ask: { method: 'POST' }, says: 'ok' },
  {
    name: '* is one segment',
    right: { endpoints: [{ method: '*', path: '/a/*' }] },
    ask: { path: '/a/b' },
    says: 'ok',
  },
  {
    name: '* is not two',
    right: { endpoints: [{ method: '*', path: '/a/*' }] },
    ask: { path: '/a/b/c' },
    says: 'ACCESS_DENIED',
  },
  { name: '* may be empty', right: { endpoints: [{ method: '*', path: '/a/*' }] }, ask: { path: '/a/' }, says: 'ok' },
  {
    name: '* does not eat the slash',
    right: { endpoints: [{ method: '*', path: '/a/*' }] },
    ask: { path: '/a' },
    says: 'ACCESS_DENIED',
  },
  { name: '** is many', right: { endpoints: [{ method: '*', path: '/a/**' }] }, ask: { path: '/a/b/c' }, says: 'ok' },
  { name: 'no path is /', right: { endpoints: [{ method: '*', path: '/' }] }, ask: { path: '' }, says: 'ok' },
  {
    name: 'a literal star',
    right: { endpoints: [{ method: '*', path: '/\\*' }] },
    ask: { path: '/x' },
    says: 'ACCESS_DENIED',
  },
  {
    name: 'an escaped spelling is another path',
    right: { endpoints: [{ method: '*', path: '/ab' }] },
    ask: { path: '/a%62' },
    says: 'ACCESS_DENIED',
  },
  { name: 'a purpose is needed', right: { purposes: ['support'] }, says: 'PURPOSE_NOT_ALLOWED' },
  {
    name: 'another purpose',
    right: { purposes: ['support'] },
    ask: { purpose: 'curiosity' },
    says: 'PURPOSE_NOT_ALLOWED',
  },
  { name: 'a purpose where none may be', ask: { purpose: 'support' }, says: 'PURPOSE_NOT_ALLOWED' },
  { name: 'the purpose', right: { purposes: ['support'] }, ask: { purpose: 'support' }, says: 'ok' },
  { name: 'another basis', ask: { basis: 'law' }, says: 'BASIS_NOT_ALLOWED' },
  { name: 'law without an official', right: law, ask: { ...lawful, userId: undefined }, says: 'OFFICIAL_REQUIRED' },
  { name: 'law without a case', right: law, ask: { ...lawful, issue: undefined }, says: 'CASE_NUMBER_REQUIRED' },
  {
    name: 'law with a case of another form',
    right: law,
    ask: { ...lawful, issue: 'X1' },
    says: 'CASE_NUMBER_REQUIRED',
  },
  { name: 'law', right: law, ask: lawful, says: 'ok' },
  { name: 'consent', right: { bases: ['consent'] }, ask: { basis: 'consent' }, says: 'CONSENT_REQUIRED' },
  { name: 'expired', right: { notAfterMs: now - 1 }, says: 'ACCESS_DENIED' },
  { name: 'not yet', right: { notBeforeMs: now + 600_000 }, says: 'ACCESS_DENIED' },
];

function arrange(pair: Pair, { right, service }: Pick<Row, 'right' | 'service'>): void {
  const { state } = pair.provider.parts;
  for (const { id } of state.rights()) state.removeRight(id);
  if (right !== null) state.putRight(accessRight(right));
  state.removeService(SERVICE);
  const usual = { id: SERVICE, title: 'Echo', url: `${pair.backend.url}/base`, enabled: true, notice: null };
  const facts = { timeoutMs: 5_000, personalData: false, safe: false };
  if (service !== null) state.putService({ ...usual, ...facts, ...service });
}

/** A signed refusal: on both sides, under one decision hash, and the decision can be made again. */
function checkRefusal(t: Test, pair: Pair, { json }: Asked): void {
  const { id, code } = json;
  t.equal(json.outcome, 'refused');
  t.equal(kinds(pair.consumer, id), 'request-sent,refusal-received');
  t.equal(kinds(pair.provider, id), 'request-received,refusal-sent');
  const [here] = entries(pair.consumer, id);
  const [there] = entries(pair.provider, id);
  t.equal(here?.code, code);
  t.equal(there?.code, code);
  t.equal(here?.decisionHash, there?.decisionHash);
  const archived = pair.provider.parts.log.readSealed(there?.seq ?? -1)?.decisionInputs;
  const { inputs } = JSON.parse(String(archived));
  t.equal(archiveDecision(inputs, decide(inputs)).hash, there?.decisionHash, 'the decision can be made again');
}

t.test('every decision has its code, signed and logged on both sides', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  for (const row of ROWS) {
    await t.test(row.name, async (t) => {
      arrange(pair, row);
      const before = pair.backend.seen.length;
      const asked = await post(pair, '/lookups', {
        client: CLIENT,
        service: SERVICE,
        path: '/residents/1',
        ...row.ask,
      });
      if (row.says === 'ok') {
        t.equal(asked.json.outcome, 'ok', JSON.stringify(asked.json));
        t.equal(pair.backend.seen.length, before + 1);
        return;
      }
      t.equal(asked.json.code, row.says);
      t.equal(asked.status, row.status ?? 403);
      if (row.detail !== undefined) t.equal(asked.json['detail'], row.detail);
      t.equal(pair.backend.seen.length, before, 'the backend saw nothing');
      checkRefusal(t, pair, asked);
    });
  }
  await auditBoth(t, pair);
});

t.test('a quota holds at its edge, for requests side by side, and over a restart', async (t) => {
  const pair = await openPair({ right: accessRight({ quotaPerDay: 3 }) });
  t.teardown(() => pair.close());
  const ask = () => post(pair, '/lookups', { client: CLIENT, service: SERVICE, path: '/x', method: 'POST' });
  const codes = (await Promise.all(Array.from({ length: 8 }, ask))).map(({ json }) => json.code).sort();
  t.strictSame(codes, ['OK', 'OK', 'OK', ...Array(5).fill('QUOTA_EXCEEDED')]);
  t.equal(pair.backend.seen.length, 3);
  await pair.provider.close();
  await pair.reopen('provider');
  const after = await ask();
  t.equal(after.json.code, 'QUOTA_EXCEEDED');
  t.equal(after.status, 429);
  checkRefusal(t, pair, after);
  await auditBoth(t, pair);
});

t.test('a service with all places taken refuses, and neither its quota nor its backend is used', async (t) => {
  const pair = await openPair({ right: accessRight({ quotaPerDay: 1 }) });
  t.teardown(() => pair.close());
  const { admission } = pair.provider.parts;
  const places = Array.from({ length: 256 }, () => admission.enter('service', SERVICE));
  const ask = () => post(pair, '/lookups', { client: CLIENT, service: SERVICE, path: '/x' });
  const full = await ask();
  t.equal(full.json.code, 'SERVER_BUSY');
  checkRefusal(t, pair, full);
  for (const leave of places) leave();
  t.equal((await ask()).json.outcome, 'ok');
});
