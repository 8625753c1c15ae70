// One id, one execution: replays of captured messages, and what becomes of requests whose outcome is not known.
import t from 'tap';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { tlsClientOptions } from '#core/http/mtls.ts';
import { MAX_BODY_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { genuineRequest } from '#scripts/campaign/flip-messages.ts';
import {
  accessRight,
  CLIENT,
  openPair as openAnyPair,
  type Pair,
  type PairOptions,
  SERVICE,
} from '#scripts/campaign/pair.ts';
import type { Delivery } from '#security-server/peer/link.ts';
import { auditBoth, deliver, entries, kinds, post, recorded } from './asking.ts';
import { MovingClock, Timers } from './moving-clock.ts';

t.setTimeout(120_000);
const ASK = { client: CLIENT, service: SERVICE, method: 'POST', path: '/do', body: { n: 1 } };
const LOST: Delivery = { state: 'unknown', code: 'OUTCOME_UNKNOWN', detail: 'lost by the test' };

/** From now on the consumer's messages go through `through`; returns how to end that. */
function intercept(
  pair: Pair,
  through: (send: () => Promise<Delivery>, bytes: Buffer) => Promise<Delivery>,
): () => void {
  const { parts } = pair.consumer;
  const real = parts.link;
  parts.link = {
    close: () => real.close(),
    send: async (peer, message, timeoutMs) => {
      const bytes = await recorded(pair, peer, message);
      return through(() => real.send(peer, message, timeoutMs), bytes);
    },
  };
  return () => {
    parts.link = real;
  };
}

/** A request whose answer is lost on the way back; returns its id and its captured message. */
async function loseAnswer(pair: Pair): Promise<{ id: string; message: Buffer }> {
  let message: Buffer = Buffer.alloc(0);
  const restore = intercept(pair, async (send, bytes) => {
    message = bytes;
    await send();
    return LOST;
  });
  const { json, status } = await post(pair, '/lookups', ASK);
  restore();
  if (json.outcome !== 'unknown' || status !== 504) throw new Error(JSON.stringify(json));
  return { id: json.id, message };
}

const settle = (pair: Pair, id: string) => post(pair, `/lookups/${id}/settle`);

// The same over both forms of the link.
for (const peerLink of ['frames', 'http1'] as const) {
  const openPair = (options: PairOptions = {}) => {
    const [consumer, provider] = [options.consumer, options.provider].map((over) => ({ peerLink, ...over }));
    return openAnyPair({ ...options, ...(consumer && { consumer }), ...(provider && { provider }) });
  };

  t.test(`${peerLink}: a captured message runs once: again, after a restart, and fifty at once`, async (t) => {
    const pair = await openPair({ right: accessRight({ quotaPerDay: 2 }) });
    t.teardown(() => pair.close());
    const one = await genuineRequest(pair);
    t.equal(await deliver(pair, one.frame), 'answered');
    t.equal(await deliver(pair, one.frame), 'answered', 'with a signed refusal');
    t.equal(kinds(pair.provider, one.id), 'request-received,response-sent,refusal-sent');
    t.equal(entries(pair.provider, one.id)[0]?.code, 'MESSAGE_REPLAYED');
    await pair.provider.close();
    await pair.reopen('provider');
    t.equal(await deliver(pair, one.frame), 'answered');
    t.equal(pair.backend.seen.length, 1);
    const many = await genuineRequest(pair);
    t.equal(await deliver(pair, many.frame.subarray(0, -1)), '400 MESSAGE_MALFORMED');
    await Promise.all(Array.from({ length: 50 }, () => deliver(pair, many.frame)));
    t.equal(pair.backend.seen.length, 2, 'exactly one execution, and replays use up no quota');
    const codes = entries(pair.provider, many.id).map(({ kind, code }) => `${kind} ${code}`);
    t.equal(codes.filter((code) => code === 'refusal-sent MESSAGE_REPLAYED').length, 49);
    t.equal(codes.filter((code) => code === 'response-sent OK').length, 1);
    const { admission, state } = pair.provider.parts;
    state.putRight(accessRight());
    const places = Array.from({ length: 256 }, () => admission.enter('service', SERVICE));
    await deliver(pair, many.frame);
    t.equal(entries(pair.provider, many.id)[0]?.code, 'MESSAGE_REPLAYED', 'a full service does not hide that it ran');
    for (const leave of places) leave();
    await auditBoth(t, pair);
  });

  t.test(`${peerLink}: a clock that was set back brings back no request whose claim was forgotten`, async (t) => {
    const clock = new MovingClock();
    const timers = new Timers();
    const pair = await openPair({ clock, provider: { every: timers.every } });
    t.teardown(() => pair.close());
    const first = await genuineRequest(pair);
    t.equal(await deliver(pair, first.frame), 'answered');
    // Twenty minutes of ordinary work: the claim is over and forgotten, the configuration's tickets are new ones.
    clock.aheadMs = 20 * 60_000;
    t.equal(await deliver(pair, (await genuineRequest(pair)).frame), 'answered');
    await pair.provider.close();
    await pair.reopen('provider');
    clock.aheadMs = 0;
    t.equal(await deliver(pair, first.frame), '400 CLOCK_OUT_OF_WINDOW', 'the time of the log counts');
    t.equal(pair.backend.seen.length, 2, 'each ran once');
  });

  t.test(`${peerLink}: a replay uses up nothing of a quota, nor does a request that could not be logged`, async (t) => {
    const pair = await openPair({ right: accessRight({ quotaPerDay: 3 }) });
    t.teardown(() => pair.close());
    const { frame } = await genuineRequest(pair);
    for (let n = 0; n < 4; n += 1) await deliver(pair, frame);
    const { log } = pair.provider.parts;
    const append = log.append.bind(log);
    log.append = () => Promise.reject(new AccordError('LOG_UNAVAILABLE'));
    for (let n = 0; n < 4; n += 1)
      t.equal(await deliver(pair, (await genuineRequest(pair)).frame), '503 LOG_UNAVAILABLE');
    log.append = append;
    t.equal((await post(pair, '/lookups', ASK)).json.outcome, 'ok');
    t.equal((await post(pair, '/lookups', ASK)).json.outcome, 'ok');
    t.equal((await post(pair, '/lookups', ASK)).json.code, 'QUOTA_EXCEEDED');
  });

  t.test(`${peerLink}: a peer that repeats an id hundreds of times hides nothing and breaks no audit`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const { id, message } = await loseAnswer(pair);
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(Array.from({ length: 100 }, () => deliver(pair, message)));
    }
    await auditBoth(t, pair);
    t.equal((await settle(pair, id)).json['state'], 'answered');
    t.equal(pair.backend.seen.length, 1);
  });

  t.test(`${peerLink}: a safe service answers one of many replays`, async (t) => {
    const pair = await openPair({ safe: true });
    t.teardown(() => pair.close());
    const { id, frame } = await genuineRequest(pair);
    await Promise.all(Array.from({ length: 20 }, () => deliver(pair, frame)));
    const codes = entries(pair.provider, id).map(({ kind }) => kind);
    t.equal(codes.filter((kind) => kind === 'response-sent').length, 1);
    t.equal(codes.filter((kind) => kind === 'refusal-sent').length, 19);
    await auditBoth(t, pair);
  });

  t.test(`${peerLink}: a lost answer is delivered again, byte for byte, also the largest`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const large = Buffer.alloc(MAX_BODY_BYTES, 7);
    pair.backend.answer = (_request, _body, response) => {
      for (let n = 0; n < 20; n += 1) response.setHeader(`x-${n}`, 'v'.repeat(1024));
      response.setHeader('content-type', 'application/octet-stream').end(large);
    };
    const { id } = await loseAnswer(pair);
    t.equal(kinds(pair.consumer, id), 'request-sent');
    const settled = await settle(pair, id);
    t.equal(settled.json['state'], 'answered', JSON.stringify(settled.json));
    const { body } = settled.json['answer'] as { body: string };
    t.ok(Buffer.from(body, 'base64').equals(large));
    t.equal(kinds(pair.consumer, id), 'request-sent,response-received');
    const statement = (server: Pair['consumer']) =>
      entries(server, id).find(({ kind }) => /^response/.test(kind))?.statement;
    t.equal(statement(pair.consumer), statement(pair.provider), 'the very statement that was signed then');
    const sizes = [pair.consumer.parts.log.size(), pair.provider.parts.log.size()];
    t.equal((await settle(pair, id)).json['state'], 'answered');
    t.strictSame([pair.consumer.parts.log.size(), pair.provider.parts.log.size()], sizes, 'known now: nobody is asked');
    await auditBoth(t, pair);
  });

  t.test(
    `${peerLink}: received: the provider has it and works on it; a replay meanwhile is not its answer`,
    async (t) => {
      const pair = await openPair();
      t.teardown(() => pair.close());
      let release = () => {};
      pair.backend.answer = (_request, _body, response) => {
        release = () => response.end('late');
      };
      let sent: Promise<Delivery> | undefined;
      let message: Buffer = Buffer.alloc(0);
      const restore = intercept(pair, async (send, bytes) => {
        message = bytes;
        sent = send();
        while (pair.backend.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        return LOST;
      });
      const { id } = (await post(pair, '/lookups', ASK)).json;
      restore();
      t.equal(await deliver(pair, message), 'answered');
      t.equal((await settle(pair, id)).json['state'], 'received');
      release();
      await sent;
      t.equal(kinds(pair.provider, id), 'request-received,refusal-sent,response-sent');
      const settled = await settle(pair, id);
      t.equal(settled.json['state'], 'answered');
      t.match(settled.json['answer'], { outcome: 'ok', code: 'OK' });
      t.equal(pair.backend.seen.length, 1);
      await auditBoth(t, pair);
    },
  );

  t.test(`${peerLink}: void: it never came, and a delayed original cannot run, also after a restart`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    let message: Buffer = Buffer.alloc(0);
    const restore = intercept(pair, async (_send, bytes) => {
      message = bytes;
      return LOST;
    });
    const { id } = (await post(pair, '/lookups', ASK)).json;
    restore();
    t.match((await settle(pair, id)).json, { state: 'void', code: 'OUTCOME_VOID' });
    t.equal(await deliver(pair, message), 'answered', 'with a signed refusal');
    await pair.provider.close();
    await pair.reopen('provider');
    t.equal(await deliver(pair, message), 'answered');
    t.equal(kinds(pair.provider, id), 'void,refusal-sent,refusal-sent');
    t.equal((await settle(pair, id)).json['state'], 'void', 'and stays so');
    t.equal(pair.backend.seen.length, 0);
    await auditBoth(t, pair);
  });

  t.test(`${peerLink}: what ran is never told void, however long ago its claim was forgotten`, async (t) => {
    const shift = { wallMs: 0, monotonicMs: 0 };
    const clock = {
      nowMs: () => systemClock.nowMs() + shift.wallMs,
      monotonicMs: () => systemClock.monotonicMs() + shift.monotonicMs,
    };
    const pair = await openPair({ clock });
    t.teardown(() => pair.close());
    const { id, message } = await loseAnswer(pair);
    Object.assign(shift, { wallMs: 11 * 60_000, monotonicMs: 11 * 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 1_300)); // the log's next tick forgets claims that are over
    t.equal(await deliver(pair, message), '400 TICKET_REFUSED');
    t.equal((await settle(pair, id)).json['state'], 'answered');
    t.equal(pair.backend.seen.length, 1);
    await auditBoth(t, pair);
  });

  t.test(`${peerLink}: who may settle what`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const other = 'DEV/GOV/1001/other';
    const mine = new Set([CLIENT, other]);
    const entry = pair.configuration.entries.get(pair.consumer.id);
    if (entry) pair.configuration.entries.set(entry.id, { ...entry, subsystems: mine });
    const { id } = await loseAnswer(pair);
    const { certPem, keyPem, certificateHash } = await pair.authority.system(other);
    pair.consumer.parts.state.putSystem({ subsystem: other, name: 'other', certificateHash });
    const client = openClient();
    t.teardown(() => client.close());
    const answer = await client.request({
      url: `${pair.consumer.urls.systems}/lookups/${id}/settle`,
      method: 'POST',
      tls: tlsClientOptions({ certPem, keyPem }, () => true),
    });
    t.match(JSON.parse(String(answer.body)), { code: 'CALLER_NOT_ALLOWED' });
    t.equal((await settle(pair, '01890000-0000-7000-8000-000000000000')).json.code, 'NOTHING_TO_SETTLE');
    t.equal((await settle(pair, 'x')).json.code, 'NOTHING_TO_SETTLE');
  });

  t.test(`${peerLink}: a reply to another question settles nothing`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const first = await loseAnswer(pair);
    let reply: Delivery = LOST;
    const listen = intercept(pair, async (send) => {
      reply = await send();
      return reply;
    });
    t.equal((await settle(pair, first.id)).json['state'], 'answered');
    listen();
    const second = await loseAnswer(pair);
    const restore = intercept(pair, async () => reply);
    t.match((await settle(pair, second.id)).json, { state: 'unknown', code: 'ANSWER_MISMATCH' });
    restore();
    t.equal((await settle(pair, second.id)).json['state'], 'answered');
    await auditBoth(t, pair);
  });
}
