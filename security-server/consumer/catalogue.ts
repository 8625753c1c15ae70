// GET /catalogue and GET /catalogue/{ref} for a department's information systems: what the shared dictionary means and who
// gives it. Everything comes from the verified global configuration; the information system controls the query.
import { setImmediate } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import type { Catalogue, CatalogueItem, openCatalogueInSteps } from '#policy/catalogue.ts';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { ENTRY_REF_PATTERN } from '#schemas/dictionary-entry.ts';
import { MAX_CATALOGUE_ITEMS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';

const DEFAULT_ITEMS = 20;
const CatalogueQuery = Type.Object(
  {
    q: Type.Optional(Type.String({ maxLength: 200 })),
    limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,2}$' })),
    /** Nothing more sensitive than this. */
    level: Type.Optional(Type.String({ pattern: '^[1-4]$' })),
    kind: Type.Optional(Type.Union([Type.Literal('element'), Type.Literal('predicate')])),
  },
  { additionalProperties: false },
);
const checkQuery = compile(CatalogueQuery, 'SCHEMA_MISMATCH');
const REF = new RegExp(ENTRY_REF_PATTERN);

/** @param known throws for a caller that is not one of this server's systems */
export function addCatalogueRoutes(
  app: FastifyInstance,
  server: ConsumerParts,
  known: (request: FastifyRequest) => unknown,
): void {
  const current = keepCatalogue(server);

  app.get('/catalogue', async (request) => {
    known(request);
    const { q = '', limit, level, kind } = checkQuery(request.query);
    const most = limit === undefined ? DEFAULT_ITEMS : Number(limit);
    if (most > MAX_CATALOGUE_ITEMS) throw new AccordError('SCHEMA_MISMATCH', `/limit is above ${MAX_CATALOGUE_ITEMS}`);
    const { snapshot, catalogue, release } = await current();
    const items = catalogue.search(q, {
      limit: most,
      ...(level === undefined ? {} : { level: Number(level) as Level }),
      ...(kind === undefined ? {} : { kind }),
    });
    return { release, items: items.map((item) => titled(item, snapshot)) };
  });

  app.get<{ Params: { ref: string } }>('/catalogue/:ref', async (request) => {
    known(request);
    const { ref } = request.params;
    const { snapshot, catalogue, release } = await current();
    const item = REF.test(ref) ? catalogue.item(ref) : undefined;
    if (item === undefined) throw new AccordError('NOT_FOUND', `no element or predicate ${ref.slice(0, 127)}`);
    return { release, item: titled(item, snapshot) };
  });
}

interface Kept {
  /** Of the content whose tables these are. */
  hash: string;
  dictionary: Dictionary;
  tables: readonly BindingTable[];
  catalogue: Catalogue;
}

/**
 * Made when it is first asked for, and again when other tables or another dictionary are in force. It takes seconds for a
 * large release: whoever asks meanwhile waits for it, and exchanges go on.
 */
function keepCatalogue(server: ConsumerParts) {
  let kept: Kept | undefined;
  let making: Promise<Kept> | undefined;
  const isKept = (snapshot: ConfigurationSnapshot, dictionary: Dictionary): boolean =>
    kept?.hash === snapshot.hash && kept.dictionary === dictionary;
  return async () => {
    for (;;) {
      const snapshot = server.configuration.current();
      const dictionary = server.dictionary.dictionary(snapshot);
      if (dictionary === null) throw new AccordError('DICTIONARY_MISSING');
      if (kept !== undefined && isKept(snapshot, dictionary)) {
        return { snapshot, catalogue: kept.catalogue, release: dictionary.release };
      }
      making ??= makeCatalogue(snapshot, dictionary, kept).finally(() => {
        making = undefined;
      });
      kept = await making;
    }
  };
}

/** Services that a table is looked up for in one step: its first use works out its hash. */
const STEP_SERVICES = 4;

/** The search is loaded with the first catalogue: most servers are never asked for one. */
async function makeCatalogue(snapshot: ConfigurationSnapshot, dictionary: Dictionary, before: Kept | undefined) {
  const { openCatalogueInSteps: open } = await import('#policy/catalogue.ts');
  return await inTurns(catalogueInSteps(snapshot, dictionary, before, open));
}

function* catalogueInSteps(
  snapshot: ConfigurationSnapshot,
  dictionary: Dictionary,
  before: Kept | undefined,
  open: typeof openCatalogueInSteps,
): Generator<undefined, Kept> {
  const tables: BindingTable[] = [];
  for (const { id, bindingHash } of snapshot.services()) {
    const table = bindingHash === null ? undefined : snapshot.binding(id);
    if (table !== undefined) tables.push(table);
    if (table !== undefined && tables.length % STEP_SERVICES === 0) yield;
  }
  const same =
    before?.dictionary === dictionary &&
    before.tables.length === tables.length &&
    tables.every((table, at) => before.tables[at] === table);
  const catalogue = same ? before.catalogue : yield* open(dictionary, tables);
  return { hash: snapshot.hash, dictionary, tables, catalogue };
}

/** Everybody else has a turn between two steps. */
async function inTurns<T>(steps: Generator<undefined, T>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await setImmediate();
  }
}

function titled({ services, ...item }: CatalogueItem, snapshot: ConfigurationSnapshot) {
  return { ...item, services: services.map((one) => ({ ...one, title: snapshot.service(one.service)?.title ?? '' })) };
}
