// A small S3-compatible store with versions of nothing, written from the description of the protocol and not with the client's
// library: it computes AWS Signature Version 4 itself over what arrived, refuses a wrong signature, payload hash, checksum or
// MD5, keeps object locks and lets nothing that is locked be overwritten. It can fail in every way that a test asks for.
import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export const S3_KEYS = { accessKeyId: 'AKIDARCHIVE', secretAccessKey: 'secret/of+the/archive' };
const REGION = 'cn-test-1';
const BUCKET = 'records';

type Fault = 'error-500' | 'cut-off' | 'wrong-bytes' | 'refuse-lock' | 'ignore-lock' | 'lose' | 'silent' | 'denied';

export interface S3Server {
  endpoint: string;
  region: string;
  bucket: string;
  objects: Map<string, { bytes: Buffer; mode: string | null; until: string | null }>;
  /** What was asked, as `PUT name`, and what was refused. */
  asked: string[];
  refused: string[];
  /** How it fails from now on; `times` counts down. */
  fault: { kind: Fault; method?: string; times: number; skip?: number } | null;
  /** Names in one page of a list. */
  pageSize: number;
}

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest();
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** Why a request is not what its signer signed; null when it is. */
function signatureFault(request: IncomingMessage, body: Buffer, nowMs: number): string | null {
  const form =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/;
  const [, id, day = '', region = '', names = '', signature] = form.exec(request.headers.authorization ?? '') ?? [];
  const header = (name: string) => String(request.headers[name] ?? '').trim();
  const date = header('x-amz-date');
  const atMs = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (id !== S3_KEYS.accessKeyId || region !== REGION || !date.startsWith(day)) return 'InvalidAccessKeyId';
  if (!(Math.abs(atMs - nowMs) <= 900_000)) return 'RequestTimeTooSkewed';
  if (header('x-amz-content-sha256') !== sha256(body)) return 'XAmzContentSHA256Mismatch';
  const signed = names.split(';');
  const amz = Object.keys(request.headers).filter((name) => name.startsWith('x-amz-') || name === 'content-md5');
  if (![...amz, 'host'].every((name) => signed.includes(name))) return 'AccessDenied';
  const url = new URL(request.url ?? '/', 'http://x');
  const query = [...url.searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort();
  const path = url.pathname.split('/').map((part) => encode(decodeURIComponent(part)));
  const canonical = [
    ...[request.method, path.join('/'), query.join('&')],
    ...[...signed.map((name) => `${name}:${header(name)}`), '', names, sha256(body)],
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = ['s3', 'aws4_request'].reduce(hmac, hmac(hmac(`AWS4${S3_KEYS.secretAccessKey}`, day), region));
  return hmac(key, toSign).toString('hex') === signature ? null : 'SignatureDoesNotMatch';
}

export async function s3Server(t: Test, nowMs: () => number): Promise<S3Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(store, request, Buffer.concat(chunks), response, nowMs()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const store: S3Server = {
    ...{ endpoint: `http://127.0.0.1:${port}`, region: REGION, bucket: BUCKET },
    ...{ objects: new Map(), asked: [], refused: [], fault: null, pageSize: 1_000 },
  };
  return store;
}

function refuse(store: S3Server, response: ServerResponse, status: number, code: string): unknown {
  store.refused.push(code);
  response.writeHead(status, { 'content-type': 'application/xml' });
  return response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`);
}

function answer(
  store: S3Server,
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  nowMs: number,
): unknown {
  const { method = '' } = request;
  const url = new URL(request.url ?? '/', store.endpoint);
  const [, bucket, ...rest] = url.pathname.split('/').map(decodeURIComponent);
  const name = rest.join('/');
  store.asked.push(`${method} ${name}`);
  const fault = takeFault(store, method);
  const wrong = signatureFault(request, body, nowMs);
  if (wrong !== null) return refuse(store, response, 403, wrong);
  if (bucket !== store.bucket) return refuse(store, response, 404, 'NoSuchBucket');
  if (fault === 'denied') return refuse(store, response, 403, 'AccessDenied');
  if (fault === 'error-500') return refuse(store, response, 500, 'InternalError');
  if (fault === 'silent') return null; // and never an answer
  if (method === 'PUT') return put(store, request, name, body, response, fault);
  if (name === '') return list(store, url, response);
  const object = store.objects.get(name);
  if (object === undefined) return refuse(store, response, 404, 'NoSuchKey');
  if (object.mode !== null) response.setHeader('x-amz-object-lock-mode', object.mode);
  if (object.until !== null) response.setHeader('x-amz-object-lock-retain-until-date', object.until);
  if (request.headers['x-amz-checksum-mode'] === 'ENABLED') {
    response.setHeader('x-amz-checksum-sha256', createHash('sha256').update(object.bytes).digest('base64'));
  }
  const bytes = Buffer.from(object.bytes);
  if (fault === 'wrong-bytes') bytes[bytes.length >> 1]! ^= 1;
  response.writeHead(200, { 'content-length': bytes.length });
  if (fault !== 'cut-off') return response.end(method === 'HEAD' ? undefined : bytes);
  return response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
}

function takeFault(store: S3Server, method: string): Fault | null {
  const { fault } = store;
  if (fault === null || fault.times <= 0 || (fault.method ?? method) !== method) return null;
  if ((fault.skip ?? 0) > 0) {
    fault.skip = (fault.skip ?? 0) - 1;
    return null;
  }
  fault.times--;
  return fault.kind;
}

function put(
  store: S3Server,
  { headers }: IncomingMessage,
  name: string,
  body: Buffer,
  response: ServerResponse,
  fault: Fault | null,
): unknown {
  const digest = (algorithm: string) => createHash(algorithm).update(body).digest('base64');
  const [mode, until] = [headers['x-amz-object-lock-mode'], headers['x-amz-object-lock-retain-until-date']];
  if (headers['x-amz-checksum-sha256'] !== digest('sha256')) return refuse(store, response, 400, 'BadDigest');
  if (mode !== undefined && headers['content-md5'] !== digest('md5')) return refuse(store, response, 400, 'BadDigest');
  if (mode !== undefined && fault === 'refuse-lock') return refuse(store, response, 400, 'InvalidRequest');
  if (store.objects.get(name)?.mode) return refuse(store, response, 403, 'AccessDenied');
  if (fault === 'cut-off') return response.destroy();
  const locked = fault === 'ignore-lock' ? [null, null] : [mode ? String(mode) : null, until ? String(until) : null];
  if (fault !== 'lose') store.objects.set(name, { bytes: body, mode: locked[0]!, until: locked[1]! });
  return response.writeHead(200).end();
}

function list(store: S3Server, url: URL, response: ServerResponse): unknown {
  const prefix = url.searchParams.get('prefix') ?? '';
  const after = url.searchParams.get('continuation-token') ?? '';
  const names = [...store.objects.keys()].filter((name) => name.startsWith(prefix) && `&${name}` > after).sort();
  const page = names.slice(0, store.pageSize);
  const isCut = page.length < names.length;
  const keys = page.map((name) => `<Contents><Key>${encode(name).replaceAll('%2F', '/')}</Key></Contents>`).join('');
  // A token with a character that XML writes otherwise.
  const next = isCut ? `<NextContinuationToken>&amp;${page.at(-1)}</NextContinuationToken>` : '';
  response.writeHead(200, { 'content-type': 'application/xml' });
  return response.end(`<ListBucketResult><IsTruncated>${isCut}</IsTruncated>${next}${keys}</ListBucketResult>`);
}
