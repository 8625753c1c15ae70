// On the configuration port, for everybody: the registry's witness (C2SP tlog-witness), and the aggregate log as static
// resources (C2SP tlog-tiles), with two questions beside: what was said of one checkpoint, and all that a cosigner needs to
// check every log for itself. Nothing here is secret, and nothing is believed because it came from here.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { TILE_WIDTH } from '#certs/merkle.ts';
import type { Clock } from '#core/clock.ts';
import {
  FEED_PAGE_LEAVES,
  MAX_ADD_CHECKPOINT_BYTES,
  MAX_FEED_LEAVES_PER_ADDRESS,
  MAX_FEED_LEAVES_PER_MINUTE,
  WITNESS_ADVANCE_EVERY_MS,
} from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { minuteBudget } from './minute-budget.ts';
import type { RegistryWitness } from './registry-witness.ts';

const TILE = /^(entries|0|[1-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;
const SIZE = /^(?:0|[1-9][0-9]{0,15})$/;
const NEVER_CHANGES = 'public, max-age=31536000, immutable';
/** Until the next minute's checkpoint may be there. */
const NOT_YET_SECONDS = 20;

/** What cosigners and whoever else asks may have of the feed in a minute, in leaves. */
const FEED_LIMITS = { ofAddress: MAX_FEED_LEAVES_PER_ADDRESS, all: MAX_FEED_LEAVES_PER_MINUTE };

export function addAggregateRoutes(
  face: FastifyInstance,
  { witness, aggregate, store }: Pick<RegistryWitness, 'witness' | 'aggregate' | 'store'>,
  clock: Clock,
  feedLimits = FEED_LIMITS,
): void {
  const take = minuteBudget(clock, feedLimits);
  void face.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    scope.post('/witness/add-checkpoint', { bodyLimit: MAX_ADD_CHECKPOINT_BYTES }, async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const answer = await witness.add(body).catch((error: unknown) => {
        const isBudget = isAccordError(error, 'WITNESS_BUDGET');
        if (isBudget) reply.header('retry-after', String(WITNESS_ADVANCE_EVERY_MS / 1000));
        throw error;
      });
      return reply.code(answer.status).type(answer.type).send(answer.body);
    });
  });
  face.get('/aggregate/checkpoint', async (_request, reply) => {
    const newest = aggregate.newestFinished();
    if (newest === null) throw notYet(reply);
    return reply.header('cache-control', 'no-cache').type('text/plain; charset=utf-8').send(newest.note);
  });
  face.get('/aggregate/anchoring', async (request, reply) => {
    const { origin, size } = queryOf(request, ['origin', 'size']);
    try {
      return reply.header('cache-control', 'no-cache').send(aggregate.anchoring(origin ?? '', sizeOf(size)));
    } catch (error) {
      if (isAccordError(error, 'AGGREGATE_NOT_YET')) throw notYet(reply);
      throw error;
    }
  });
  face.get('/aggregate/consistency', async (request, reply) => {
    const query = queryOf(request, ['from', 'to']);
    const [from, to] = [sizeOf(query['from']), sizeOf(query['to'])];
    if (from > to || to > aggregate.signedSize) throw new AccordError('NOT_FOUND');
    const waitMs = take(request.ip, Math.min(to - from, FEED_PAGE_LEAVES));
    if (waitMs > 0) {
      reply.header('retry-after', String(Math.ceil(waitMs / 1000)));
      throw new AccordError('AGGREGATE_BUDGET');
    }
    const lines = store.feed(from, to).map(({ data, proof }) => {
      const leaf = Buffer.from(data, 'utf8').toString('base64');
      return `${JSON.stringify({ leaf, proof: proof.map((hash) => hash.toString('base64')) })}\n`;
    });
    return reply.header('cache-control', 'no-cache').type('application/x-ndjson').send(lines.join(''));
  });
  face.get('/aggregate/tile/*', async (request, reply) => {
    const { '*': path } = request.params as { '*': string };
    const bytes = readTile(path);
    if (bytes === null) throw new AccordError('NOT_FOUND');
    return reply.header('cache-control', NEVER_CHANGES).type('application/octet-stream').send(bytes);
  });

  function readTile(path: string): Buffer | null {
    const [, level = '', index = '', partial] = TILE.exec(path) ?? [];
    const width = partial === undefined ? TILE_WIDTH : Number(partial);
    const number = Number(index.replaceAll(/[x/]/g, ''));
    if (level === '' || width > TILE_WIDTH || (partial !== undefined && width === TILE_WIDTH)) return null;
    if (!Number.isSafeInteger(number) || tileIndex(number) !== index) return null;
    const size = aggregate.signedSize;
    return level === 'entries' ? store.bundle(number, width, size) : store.tile(Number(level), number, width, size);
  }
}

/** C2SP tlog-tiles: 1234067 is x001/x234/067. */
function tileIndex(number: number): string {
  const digits = String(number);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) ?? [];
  return groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join('/');
}

function queryOf(request: FastifyRequest, names: readonly string[]): Record<string, string | undefined> {
  const query = request.query as Record<string, unknown>;
  const entries = Object.entries(query).filter(([name, value]) => names.includes(name) && typeof value === 'string');
  if (entries.length !== Object.keys(query).length) throw new AccordError('SCHEMA_MISMATCH', 'querystring');
  return Object.fromEntries(entries) as Record<string, string>;
}

function sizeOf(text: string | undefined): number {
  const size = SIZE.test(text ?? '') ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw new AccordError('SCHEMA_MISMATCH', 'querystring: a size is a whole number');
  return size;
}

function notYet(reply: FastifyReply): AccordError {
  reply.header('retry-after', String(NOT_YET_SECONDS));
  return new AccordError('AGGREGATE_NOT_YET');
}
