// A bound service over X-Road's REST protocol: purpose, basis, receipt and fields stand in Accord-* headers and pass the same
// decision and the same filter as a lookup; refusals have codes in X-Road's spelling, and their detail is found in the log.
import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { type Purpose, purposeText } from '#schemas/purpose.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { valuesOf } from '#scripts/conformance/case.ts';
import { type Came, send } from '#scripts/conformance/wire.ts';
import { auditBoth, entries } from './asking.ts';
import { ENTRIES, tableOf } from './bound-service.ts';
import { type ConsentGiver, openConsentGiver, PURPOSE, PURPOSE_HASH } from './consent-giver.ts';
import { MovingClock } from './moving-clock.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url');

interface World {
  pair: Pair;
  giver: ConsentGiver;
  clock: MovingClock;
  lines: Record<string, unknown>[];
  /** GET of a path of the service. */
  ask(path: string, headers: Record<string, string>): Promise<Came>;
}

/** The same for what is asked on the basis of law. */
const LAW_PURPOSE: Purpose = { ...PURPOSE, id: 'housing-control', bases: ['law'] };
const pins = { [PURPOSE.id]: PURPOSE_HASH, [LAW_PURPOSE.id]: sha256(purposeText(LAW_PURPOSE)) };
const RIGHT = '00000000-0000-4000-8000-000000000001';

async function open(t: Test): Promise<World> {
  const clock = new MovingClock();
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).trim().split('\n')) lines.push(JSON.parse(line));
      done();
    },
  });
  const bases = ['consent' as const, 'law' as const];
  const right = { bases, purposes: [PURPOSE.id, LAW_PURPOSE.id], pins, statute: 'Housing Act 4' };
  const elements = ['gx.name@1', 'gx.birth_date@1', 'gx.pred.age_ge_18@1'];
  const pair = await openPair({
    clock,
    right: accessRight({ ...right, elements }),
    consumer: { logger: pino({ level: 'info' }, sink) },
  });
  const giver = await openConsentGiver(pair, clock);
  t.teardown(async () => {
    giver.close();
    await pair.close();
  });
  pair.configuration.purposes = [PURPOSE, LAW_PURPOSE];
  pair.configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  pair.configuration.bind(tableOf());
  pair.backend.answer = (_request, _body, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Set-Cookie': 'a=1', 'X-Road-Id': 'spoofed' });
    response.end(JSON.stringify({ name: '王芳', birthDate: '1990-02-03', more: 'never', years: [{ income: 7 }] }));
  };
  const place = { url: new URL(pair.consumer.urls.loopback ?? ''), tls: {}, timeoutMs: 10_000 };
  const ask = (path: string, headers: Record<string, string>) => {
    const all = { Host: 'ss', 'X-Road-Client': CLIENT, ...headers, Connection: 'close' };
    const head = [`GET /r1/${SERVICE}${path} HTTP/1.1`, ...Object.entries(all).map((each) => each.join(': '))];
    return send(place, head.join('\r\n'), Buffer.alloc(0));
  };
  return { pair, giver, clock, lines, ask };
}

const header = (came: Came, name: string) => valuesOf(came.headers, name).join();

t.test('only what was decided comes, and what stays out is told', async (t) => {
  const { pair, giver, ask } = await open(t);
  const receipt = giver.receipt();
  const consent = { 'Accord-Receipt': receipt, 'Accord-Fields': '/name' };
  const came = await ask('/residents/~subject', { ...consent, Authorization: 'Bearer of the caller' });
  t.equal(came.status, 200, came.body.toString());
  t.same(JSON.parse(came.body.toString()), { name: '王芳' });
  const names = new Set(came.headers.map(([name]) => name.toLowerCase()));
  t.notOk(names.has('set-cookie') || names.has('accord-omitted') || names.has('x-road-error'));
  t.match(header(came, 'x-road-id'), /^DEV-/, 'not what the backend says');
  const [seen] = pair.backend.seen;
  t.equal(seen?.url, '/base/residents/7', 'the identifier from the receipt');
  const text = seen?.headers.join('\n') ?? '';
  t.notOk(text.includes(receipt), 'the receipt is consumed');
  t.match(text, /accord-fields\n\/name/i, 'what will be kept, in the words of the provider’s server');
  t.match(text, /Bearer of the caller/, 'everything else is passed on');
  t.match(text, /accept-encoding\nidentity/i);

  const id = header(came, 'x-road-request-id');
  const [request] = entries(pair.provider, id).toReversed();
  t.match(request, { kind: 'request-received', purpose: PURPOSE.id, basis: 'consent' }, 'found by X-Road-Request-Id');

  const partial = { ...consent, 'Accord-Fields': '/name, /birthDate,gx.pred.age_ge_18@1', Prefer: 'accord-partial' };
  const less = await ask('/residents/~subject', partial);
  t.same(JSON.parse(less.body.toString()), { name: '王芳' });
  t.equal(header(less, 'preference-applied'), 'accord-partial');
  t.equal(header(less, 'accord-omitted'), '/birthDate');
  t.equal(header(less, 'accord-predicates'), 'gx.pred.age_ge_18@1=true');
  await auditBoth(t, pair);
});

t.test('refusals have X-Road codes, and their detail is in the log', async (t) => {
  const { pair, giver, clock, lines, ask } = await open(t);
  const receipt = giver.receipt();
  const fields = { 'Accord-Fields': '/name' };
  const consent = { 'Accord-Basis': 'consent', 'Accord-Purpose': PURPOSE.id, ...fields };
  const law = { 'Accord-Basis': 'law', 'Accord-Purpose': LAW_PURPOSE.id, 'X-Road-UserId': 'EE1', 'X-Road-Issue': '1' };
  type Row = [name: string, headers: Record<string, string>, type: string, status: number, path?: string];
  const refused = (name: string) => `Server.ServerProxy.${name}`;
  const told = async (rows: readonly Row[]) => {
    for (const [name, headers, type, status, path = '/residents/7'] of rows) {
      const came = await ask(path, headers);
      const { detail } = JSON.parse(came.body.toString());
      t.match([came.status, header(came, 'x-road-error')], [type.startsWith('Client.') ? 400 : 500, type], name);
      const line = lines.find((each) => each['id'] === detail && each['type'] === type);
      t.ok(line, `${name}: ${detail} is in the log`);
      const trueStatus = await ask(path, { ...headers, Prefer: 'accord-status' });
      t.equal(trueStatus.status, status, `${name}: its true status`);
    }
  };
  await told([
    ['no purpose, no fields', {}, refused('FieldsRequired'), 400],
    ['no receipt', consent, refused('ConsentRequired'), 403],
    ['another purpose', { ...consent, 'Accord-Purpose': 'parking' }, refused('PurposeNotAllowed'), 403],
    ['another basis', { ...consent, 'Accord-Basis': 'open' }, refused('BasisNotAllowed'), 403],
    ['an unknown field', { ...consent, 'Accord-Fields': '/nothing' }, refused('FieldsUnknown'), 400],
    ['beyond the right', { ...law, 'Accord-Fields': '/years/income' }, refused('FieldNotPermitted'), 403],
    [
      'beyond the consent',
      { 'Accord-Receipt': receipt, 'Accord-Fields': '/birthDate' },
      refused('FieldsNotConsented'),
      403,
    ],
    ['an unknown operation', { ...law, ...fields }, refused('OperationUnknown'), 404, '/nobody'],
    ['a receipt on another basis', { ...law, ...fields, 'Accord-Receipt': receipt }, 'Client.BadRequest', 400],
    ['a receipt that is none', { ...fields, 'Accord-Receipt': 'abc' }, 'Client.BadRequest', 400],
    ['a purpose that cannot be one', { ...law, ...fields, 'Accord-Purpose': 'A B' }, 'Client.BadRequest', 400],
    ['a basis that is none', { ...fields, 'Accord-Basis': 'because' }, 'Client.BadRequest', 400],
    ['a field twice', { ...law, 'Accord-Fields': '/name,/name' }, 'Client.BadRequest', 400],
    ['evidence without its basis', { ...fields, 'Accord-Evidence': 'a.b.c' }, 'Client.BadRequest', 400],
  ]);
  t.equal(pair.backend.seen.length, 0, 'the backend was never asked');

  giver.statuses[5] = 1;
  // The list that is held is too old by then.
  clock.aheadMs += 121_000;
  await told([['withdrawn', { 'Accord-Receipt': receipt, ...fields }, refused('ConsentRevoked'), 403]]);
  t.equal(pair.backend.seen.length, 0);

  const { state } = pair.provider.parts;
  const right = state.rights().find(({ id }) => id === RIGHT);
  if (right === undefined) throw new TypeError('the right of the pair');
  state.putRight({ ...right, evidence: 'server', quotaPerDay: 1 });
  const first = await ask('/residents/7', { ...law, ...fields });
  t.equal(first.status, 200, first.body.toString());
  await told([['the quota is used up', { ...law, ...fields }, refused('QuotaExceeded'), 429]]);

  // The order on the provider's server: access right before the service's state, that before purpose and basis.
  const service = state.service(SERVICE);
  if (service === null) throw new TypeError('the service of the pair');
  state.putService({ ...service, enabled: false, notice: 'back on Monday' });
  const disabled = await ask('/residents/7', { ...law, ...fields });
  t.equal(header(disabled, 'x-road-error'), 'Server.ServerProxy.ServiceDisabled');
  t.match(JSON.parse(disabled.body.toString()).message, 'back on Monday');
  state.removeRight(RIGHT);
  t.equal(header(await ask('/residents/7', {}), 'x-road-error'), 'Server.ServerProxy.AccessDenied');
});
