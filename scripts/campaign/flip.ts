// Campaign `flip`: any one byte changed, in any message, in either direction, made inside TLS by a peer with a valid
// certificate, must be refused: nothing runs, nothing is logged as a request or an answer, nothing is delivered. Places:
// the frame as it travels, alone or on the framed link; the plaintext of its parts, sealed again by a peer with a valid
// ticket; and the HTTP around it, where a flip is refused or changes nothing. Each row of cases ends with the genuine message, which must pass.

import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import { decodeFrame } from '#security-server/envelope/frame.ts';
import type { Verifier } from '#security-server/envelope/verify.ts';
import { PEER_PATH } from '#security-server/peer/http1-link.ts';
import type { PeerLink } from '#security-server/peer/link.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { type FramesWire, openFramesWire } from './flip-frames.ts';
import {
  flipped,
  type GenuineRequest,
  genuineRequest,
  lengthsOf,
  openPart,
  type Part,
  resealed,
} from './flip-messages.ts';
import { CLIENT, openPair, type Pair, PROVIDER, SERVICE } from './pair.ts';

/** A verifier that is worse than the real one, in both servers. */
export interface BrokenFlip {
  verifier: (real: Verifier) => Verifier;
}

type Place =
  | 'request frame'
  | 'request head'
  | 'request body'
  | 'request http'
  | 'answer frame'
  | 'answer head'
  | 'answer body'
  | FramedPlace;

/** On the framed link, the frame with its header. */
type FramedPlace = 'framed request' | 'framed answer';

interface Case {
  place: Place;
  offset: number;
  bit: number;
}

const ROW = 200;
const SIDE_BY_SIDE = 6;
const QUIET_MS = 250;
/** A changed length of a frame makes an end wait for bytes that never come; nothing else takes so long. */
const LENGTH_BYTES = 4;
const CHANGED_LENGTH_DEADLINE_MS = 700;
const DEADLINE_MS = 20_000;
const LOOKUP = { client: CLIENT, service: SERVICE, method: 'POST', path: '/residents/1', body: { question: 'so?' } };

/** Runs `work` over all items, a few at a time. */
async function sideBySide<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker));
}

/** What the logs gained from `from` on, without the periodic summaries. */
function gained(pair: Pair, which: 'consumer' | 'provider', from: number): string[] {
  const { log } = pair[which].parts;
  const kinds: string[] = [];
  for (let seq = from; seq < log.size(); seq += 1000) {
    kinds.push(...log.read(seq, 1000).map(({ entry }) => entry.kind));
  }
  return kinds.filter((kind) => kind !== 'summary');
}

class Flips {
  readonly #pair: Pair;
  readonly #link: PeerLink;
  readonly found: string[] = [];
  size = 0;

  constructor(pair: Pair) {
    this.#pair = pair;
    this.#link = pair.consumer.parts.link;
  }

  #fail(one: Case | null, what: string): void {
    this.found.push(one === null ? what : `${one.place} byte ${one.offset} bit ${one.bit}: ${what}`);
  }

  #peer() {
    const peer = this.#pair.configuration.current().server(PROVIDER);
    if (peer === undefined) throw new TypeError('the provider is not registered');
    return peer;
  }

  /** A row of changed requests, then the genuine one. */
  async requests(cases: readonly Case[]): Promise<void> {
    const { provider, backend } = this.#pair;
    const genuine = await genuineRequest(this.#pair, { neighbours: 2 });
    const before = { seen: backend.seen.length, size: provider.parts.log.size() };
    await sideBySide(cases, async (one) => {
      const delivery = await this.#link.send(this.#peer(), changed(genuine, one), 10_000);
      this.size += 1;
      // Nothing but an unsigned refusal: a signed answer of any kind would mean that it was taken for verified.
      const isRefused = delivery.state === 'unknown' && delivery.code === 'PROVIDER_REFUSED_MESSAGE';
      if (!isRefused) this.#fail(one, `the provider did not refuse it (${delivery.state})`);
    });
    if (backend.seen.length !== before.seen) this.#fail(null, 'a changed request reached the backend');
    const logged = gained(this.#pair, 'provider', before.size);
    if (logged.length > 0) this.#fail(null, `a changed request was logged: ${logged.join(' ')}`);
    const delivery = await this.#link.send(this.#peer(), genuine.frame, 10_000);
    const passed = delivery.state === 'answered' && backend.seen.length === before.seen + 1;
    if (!passed && this.found.length === 0) this.#fail(null, 'the genuine request was not answered');
  }

  /** A row of lookups whose answers are changed between the connection and the consumer, then an unchanged one. */
  async answers(cases: readonly Case[]): Promise<void> {
    const { parts, urls } = this.#pair.consumer;
    const from = parts.log.size();
    const waiting = cases.values();
    const met = new Map<string, Case>();
    const changing: PeerLink = {
      close: () => this.#link.close(),
      send: async (peer, message, timeoutMs) => {
        const delivery = await this.#link.send(peer, message, timeoutMs);
        if (delivery.state !== 'answered' || !('bytes' in delivery)) return delivery;
        const next = waiting.next();
        if (next.done) return delivery;
        met.set('statementBytes' in message ? message.statement.id : '', next.value);
        const frame = decodeFrame(delivery.bytes);
        const ticket = await parts.channels.open(frame.ticket, PROVIDER);
        return { state: 'answered', bytes: changed({ frame: delivery.bytes, ticket }, next.value) };
      },
    };
    const ask = async () => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${urls.loopback}/lookups`, { method: 'POST', headers, body: JSON.stringify(LOOKUP) });
      return (await answer.json()) as { id: string; outcome: string };
    };
    parts.link = changing;
    await sideBySide(cases, async () => {
      const { id, outcome } = await ask();
      this.size += 1;
      const one = met.get(id);
      if (one === undefined) this.#fail(null, `no answer came to be changed (${outcome})`);
      else if (outcome !== 'unknown') this.#fail(one, `the consumer delivered it (${outcome})`);
    });
    const taken = gained(this.#pair, 'consumer', from).filter((kind) => kind.endsWith('-received'));
    if (taken.length > 0) this.#fail(null, `a changed answer was logged: ${taken.length} times`);
    parts.link = this.#link;
    const { outcome } = await ask();
    if (outcome !== 'ok') this.#fail(null, `the unchanged answer was not delivered (${outcome})`);
  }

  /** Requests on raw TLS connections with one byte changed in what HTTP puts around the message. */
  async http(cases: readonly Case[]): Promise<void> {
    for (const one of cases) {
      const { backend, provider } = this.#pair;
      const genuine = await genuineRequest(this.#pair);
      const before = { seen: backend.seen.length, size: provider.parts.log.size() };
      const text = flipped(httpAround(genuine.frame, provider.urls.peer), one.offset, one.bit);
      await this.#sendRaw(Buffer.concat([text, genuine.frame]));
      while (provider.parts.admission.inFlight > 0) await delay(1);
      this.size += 1;
      const seen = backend.seen.slice(before.seen);
      const logged = gained(this.#pair, 'provider', before.size);
      if (seen.length === 0 && logged.length === 0) continue;
      // Not refused: then exactly the genuine request must have run, and been logged, once.
      const [ran] = seen;
      const same =
        seen.length === 1 &&
        ran?.url === '/base/residents/1?a=1' &&
        ran.body.equals(genuine.signed.body as Buffer) &&
        ran.headers.includes(genuine.id) &&
        logged.join() === 'request-received,response-sent' &&
        provider.parts.log.read(before.size, 1)[0]?.entry.statement === genuine.signed.statementHash;
      if (!same) this.#fail(one, `ran ${seen.length} times, logged ${logged.join()}`);
    }
  }

  #sendRaw(bytes: Buffer): Promise<void> {
    const { authentication } = this.#pair.identities.consumer.keys;
    const key =
      'key' in authentication ? authentication.key.export({ type: 'pkcs8', format: 'pem' }) : authentication.keyPem;
    const { hostname, port } = new URL(this.#pair.provider.urls.peer);
    return new Promise((resolve) => {
      const socket = connect({
        host: hostname,
        port: Number(port),
        cert: authentication.certPem,
        key,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
      });
      // Until the server closes, or says nothing more: a flip may make it wait for bytes that never come.
      const quiet = setTimeout(() => socket.destroy(), QUIET_MS);
      socket.on('data', () => quiet.refresh());
      socket.on('error', () => {});
      socket.on('close', () => {
        clearTimeout(quiet);
        resolve();
      });
      socket.write(bytes);
    });
  }
}

/** Lookups over the framed link, each with one byte of its frame changed on the wire, there or back; then an unchanged one. */
class FramedFlips {
  readonly #pair: Pair;
  readonly #wire: FramesWire;
  readonly found: string[] = [];
  size = 0;

  constructor(pair: Pair, wire: FramesWire) {
    this.#pair = pair;
    this.#wire = wire;
    const entry = pair.configuration.entries.get(PROVIDER);
    if (entry !== undefined) pair.configuration.entries.set(PROVIDER, { ...entry, address: wire.url });
  }

  async #ask(deadlineMs = DEADLINE_MS): Promise<string> {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ ...LOOKUP, deadlineMs });
    const answer = await fetch(`${this.#pair.consumer.urls.loopback}/lookups`, { method: 'POST', headers, body });
    return ((await answer.json()) as { outcome: string }).outcome;
  }

  async places(): Promise<{ place: Place; length: number }[]> {
    if ((await this.#ask()) !== 'ok') throw new Error('the provider does not answer over the framed link');
    const { request, answer } = this.#wire.lengths;
    return [
      { place: 'framed request', length: request },
      { place: 'framed answer', length: answer },
    ];
  }

  async run(cases: readonly Case[]): Promise<void> {
    const { backend, provider, consumer } = this.#pair;
    for (const { place, offset, bit } of cases) {
      const of = place === 'framed request' ? 'request' : 'answer';
      const before = { seen: backend.seen.length, there: provider.parts.log.size(), here: consumer.parts.log.size() };
      this.#wire.change = { of, offset, bit };
      const isLength = offset < LENGTH_BYTES;
      const outcome = await this.#ask(isLength ? CHANGED_LENGTH_DEADLINE_MS : DEADLINE_MS);
      // What comes late on a connection that waits is nobody's case.
      if (isLength) this.#wire.cut();
      this.size += 1;
      const there = gained(this.#pair, 'provider', before.there).length;
      const here = gained(this.#pair, 'consumer', before.here).filter((kind) => kind.endsWith('-received'));
      const ran = backend.seen.length - before.seen;
      const isRefused = outcome === 'unknown' && here.length === 0 && (of === 'answer' || (ran === 0 && there === 0));
      const what = `${outcome}, ran ${ran} times, ${there} entries there, ${here.join()} here`;
      if (!isRefused || this.#wire.change !== null) this.found.push(`${place} byte ${offset} bit ${bit}: ${what}`);
    }
    const outcome = await this.#ask();
    if (outcome !== 'ok') this.found.push(`the unchanged lookup was not answered (${outcome})`);
  }
}

function changed({ frame, ticket }: Pick<GenuineRequest, 'frame' | 'ticket'>, { place, offset, bit }: Case): Buffer {
  if (place.endsWith('frame')) return flipped(frame, offset, bit);
  const part: Part = place.endsWith('head') ? 'head' : 'body';
  const decoded = decodeFrame(frame);
  return resealed(decoded, ticket, part, flipped(openPart(decoded, ticket, part), offset, bit));
}

function httpAround(frame: Buffer, url: string): Buffer {
  const head = [
    `POST ${PEER_PATH} HTTP/1.1`,
    `host: ${new URL(url).host}`,
    'content-type: application/accord-message',
    `content-length: ${frame.length}`,
    'connection: close',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n`);
}

/** All places of a genuine message in both directions, one after the other. */
async function placesOf(pair: Pair): Promise<{ place: Place; length: number }[]> {
  const request = await genuineRequest(pair, { neighbours: 2 });
  const { link, channels } = pair.consumer.parts;
  const peer = pair.configuration.current().server(PROVIDER);
  const delivery = peer === undefined ? undefined : await link.send(peer, request.frame, 10_000);
  if (delivery?.state !== 'answered' || !('bytes' in delivery))
    throw new Error('the provider does not answer a genuine request');
  const asked = lengthsOf(request.frame, request.ticket);
  const told = lengthsOf(delivery.bytes, await channels.open(decodeFrame(delivery.bytes).ticket, PROVIDER));
  return [
    { place: 'request http', length: httpAround(request.frame, pair.provider.urls.peer).length },
    { place: 'request frame', length: asked.frame },
    { place: 'request head', length: asked.head },
    { place: 'request body', length: asked.body },
    { place: 'answer frame', length: told.frame },
    { place: 'answer head', length: told.head },
    { place: 'answer body', length: told.body },
  ];
}

/** `size` cases spread evenly over all bytes; more than there are bytes: further bits of each. */
function casesOf(places: readonly { place: Place; length: number }[], size: number, chance: Source): Case[] {
  const all = places.flatMap(({ place, length }) => Array.from({ length }, (_, offset) => ({ place, offset })));
  const cases: Case[] = [];
  for (let left = size; left > 0; left -= all.length) {
    const count = Math.min(left, all.length);
    const start = count === all.length ? 0 : chance.integer(0, all.length - 1);
    for (let at = 0; at < count; at += 1) {
      const one = all[(start + Math.floor((at * all.length) / count)) % all.length];
      if (one !== undefined) cases.push({ ...one, bit: chance.integer(0, 7) });
    }
  }
  return cases;
}

async function run({ size, seed, broken, say }: CampaignRun<BrokenFlip>): Promise<CampaignResult> {
  const http1 = { peerLink: 'http1' as const };
  const pair = await openPair({ consumer: http1, provider: http1 });
  const framedPair = await openPair();
  const wire = await openFramesWire(framedPair);
  try {
    for (const { parts } of [pair.consumer, pair.provider, framedPair.consumer, framedPair.provider]) {
      if (broken !== undefined) parts.verifier = broken.verifier(parts.verifier);
    }
    const framed = new FramedFlips(framedPair, wire);
    const places = [...(await placesOf(pair)), ...(await framed.places())];
    const bytes = places.reduce((sum, { length }) => sum + length, 0);
    const flips = new Flips(pair);
    const byPlace = Map.groupBy(casesOf(places, size, randomFrom(seed)), ({ place }) => place);
    for (const [place, cases] of byPlace) {
      for (let at = 0; at < cases.length; at += ROW) {
        const row = cases.slice(at, at + ROW);
        if (place === 'request http') await flips.http(row);
        else if (place.startsWith('framed')) await framed.run(row);
        else await (place.startsWith('request') ? flips.requests(row) : flips.answers(row));
      }
      say?.(`${place}: ${cases.length} cases, ${flips.found.length + framed.found.length} failures so far`);
    }
    const counts = Object.fromEntries([...byPlace].map(([place, cases]) => [place, cases.length]));
    const found = [...flips.found, ...framed.found];
    return { size: flips.size + framed.size, failures: found.length, found, bytes, places: counts };
  } finally {
    wire.close();
    await framedPair.close();
    await pair.close();
  }
}

export const flip: Campaign<BrokenFlip> = {
  name: 'flip',
  title: 'one byte changed in any peer message, in either direction',
  defaultSize: 20_000,
  run,
};
