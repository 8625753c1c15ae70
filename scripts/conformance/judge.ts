// What came against what the rule says: the expectations of the case, and beside them what every answer and every error of
// the protocol has to be. Computes the request's hash anew, so that no code of a server under test judges itself.
import { createHash } from 'node:crypto';
import { type Case, type Expect, type Told, valuesOf, type Wanted } from './case.ts';
import type { Header } from './wire.ts';

const NEVER_PASSED = new Set(
  'transfer-encoding keep-alive proxy-authenticate proxy-authorization te trailer upgrade connection user-agent host content-length server expect x-road-request-id x-road-request-hash'.split(
    ' ',
  ),
);
const HASHED =
  /^(?!(?:x-road|accord)-)|^x-road-(?:client|id|userid|issue|represented-party|security-server)$|^accord-(?:purpose|basis|receipt|fields)$/;

/** All that was wrong; empty when the case passed. */
export function judge({ expect }: Case, told: Told): string[] {
  const faults: string[] = [];
  const { came, fill } = told;
  const statuses = [expect.status ?? []].flat();
  if (statuses.length > 0 && !statuses.includes(came.status)) faults.push(`status ${statuses.join(' or ')}`);
  faults.push(...(expect.error === undefined ? answerFaults(told) : errorFaults(told, expect.error)));
  for (const [name, wanted] of Object.entries(expect.headers ?? {})) {
    if (!matches(valuesOf(came.headers, name), wanted, fill)) faults.push(`header ${name}: ${shown(wanted)}`);
  }
  const body = expect.body === 'sent' ? told.sent.body : expect.body;
  if (Buffer.isBuffer(body) && !came.body.equals(body)) faults.push(`the body as it was: ${body.length} bytes`);
  if (body instanceof RegExp && !body.test(came.body.toString('utf8'))) faults.push(`a body like ${body}`);
  faults.push(...seenFaults(expect.seen, told));
  const also = expect.also?.(told) ?? null;
  return also === null ? faults : [...faults, also];
}

function seenFaults(wanted: Expect['seen'], { seen, sent, fill }: Told): string[] {
  if (wanted === undefined) return [];
  if (seen === null) return ['what had arrived, in the header Conformance-Seen'];
  const faults: string[] = [];
  const { method, target, headers = {}, body } = wanted;
  if (method !== undefined && seen.method !== method) faults.push(`the backend gets the method ${method}`);
  const targets = [target ?? []].flat().map(fill);
  if (targets.length > 0 && !targets.includes(seen.target)) faults.push(`the backend gets ${targets.join(' or ')}`);
  for (const [name, value] of Object.entries(headers)) {
    if (!matches(valuesOf(seen.headers, name), value, fill)) faults.push(`the backend gets ${name}: ${shown(value)}`);
  }
  if (body !== undefined) {
    const bytes = body === 'sent' ? sent.body : body;
    const isSame = seen.bodyHash === createHash('sha256').update(bytes).digest('base64url');
    if (!isSame) faults.push(`the backend gets the same ${bytes.length} bytes`);
  }
  return faults;
}

function matches(values: readonly string[], wanted: Wanted, fill: (text: string) => string): boolean {
  if (wanted === null) return values.length === 0;
  if (wanted instanceof RegExp) return values.length === 1 && wanted.test(values[0] ?? '');
  const list = typeof wanted === 'string' ? [wanted] : wanted;
  return values.length === list.length && list.every((each, at) => values[at] === fill(each));
}

function shown(wanted: Wanted): string {
  if (wanted === null) return 'none';
  return wanted instanceof RegExp ? String(wanted) : [wanted].flat().join(' | ');
}

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Of every answer that is the backend's. */
function answerFaults(told: Told): string[] {
  const { came, sent, fill } = told;
  const values = (name: string) => valuesOf(came.headers, name);
  const faults: string[] = [];
  if (values('x-road-error').length > 0) return [`an answer of the backend, no error of the exchange`];
  // Only a call of a service has them; listClients is none.
  if (sent.target.startsWith('/r1/')) {
    const client = valuesOf(sent.headers, 'x-road-client')[0] ?? '';
    if (values('x-road-client').join() !== client) faults.push(`X-Road-Client: ${client}`);
    const [id] = valuesOf(sent.headers, 'x-road-id');
    if (id !== undefined && values('x-road-id').join() !== id) faults.push(`X-Road-Id: ${id}`);
    if (
      id === undefined &&
      !values('x-road-id')
        .join()
        .startsWith(`${fill('{instance}')}-`)
    )
      faults.push('X-Road-Id: {instance}-{uuid}');
    if (values('x-road-service').length !== 1) faults.push('one X-Road-Service');
    const [requestId = ''] = values('x-road-request-id');
    if (values('x-road-request-id').length !== 1 || !UUID.test(requestId)) faults.push('X-Road-Request-Id: {uuid}');
    const hash = expectedHash(told, requestId, values('x-road-id').join());
    if (values('x-road-request-hash').join() !== hash) faults.push(`X-Road-Request-Hash: ${hash}`);
  }
  if (values('date').length > 1) faults.push('one Date');
  return faults;
}

/** Of every error of the exchange. */
function errorFaults({ came, sent }: Told, wanted: string | RegExp): string[] {
  const [type, ...more] = valuesOf(came.headers, 'x-road-error');
  if (type === undefined) return [`X-Road-Error: ${wanted}`];
  const faults: string[] = [];
  // X-Road 7.8 and a switch of Accord write the same codes in snake_case.
  const fits = wanted instanceof RegExp ? wanted.test(type) : type === wanted || type === snake(wanted);
  if (more.length > 0 || !fits) faults.push(`X-Road-Error: ${wanted}`);
  if (sent.method === 'HEAD') return faults;
  const { type: told, message, detail } = errorMembers(came.body.toString('utf8'));
  if (told !== type) faults.push(`a body whose type is ${type}`);
  if (!message) faults.push('a body with a message');
  if (!UUID.test(detail ?? '')) faults.push('a body whose detail is a uuid');
  return faults;
}

function snake(type: string): string {
  return type
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase();
}

function errorMembers(text: string): { type?: string; message?: string; detail?: string } {
  if (text.startsWith('<')) {
    const member = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1] ?? '';
    return { type: member('type'), message: member('message'), detail: member('detail') };
  }
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null ? found : {};
  } catch {
    return {};
  }
}

/** X-Road-Request-Hash as the rule says, from what was sent. */
export function expectedHash({ sent }: Pick<Told, 'sent'>, requestId: string, id: string): string {
  const { method, target, headers, body } = sent;
  const kept = headers.filter(([name]) => !NEVER_PASSED.has(name.toLowerCase()) && HASHED.test(name.toLowerCase()));
  const hasId = kept.some(([name]) => name.toLowerCase() === 'x-road-id');
  const own: Header[] = [['x-road-request-id', requestId], ...(hasId ? [] : ([['x-road-id', id]] as Header[]))];
  const lines = [method, target, ...[...kept, ...own].map(([name, value]) => `${name}:${value}`)];
  const head = sha512(Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1'));
  return (body.length === 0 ? head : sha512(Buffer.concat([head, sha512(body)]))).toString('base64');
}

function sha512(bytes: Uint8Array): Buffer {
  return createHash('sha512').update(bytes).digest();
}
