// GET /catalogue and GET /catalogue/{ref} for a department's information systems: what the shared dictionary means and who
// gives it. Everything comes from the verified global configuration; the information system controls the query.
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { type Catalogue, type CatalogueItem, openCatalogue } from '#policy/catalogue.ts';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { ENTRY_REF_PATTERN } from '#schemas/dictionary-entry.ts';
import { MAX_CATALOGUE_ITEMS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

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
  server: ServerParts,
  known: (request: FastifyRequest) => unknown,
): void {
  const current = keepCatalogue(server);

  app.get('/catalogue', async (request) => {
    known(request);
    const { q = '', limit, level, kind } = checkQuery(request.query);
    const most = limit === undefined ? DEFAULT_ITEMS : Number(limit);
    if (most > MAX_CATALOGUE_ITEMS) throw new AccordError('SCHEMA_MISMATCH', `/limit is above ${MAX_CATALOGUE_ITEMS}`);
    const { snapshot, catalogue, release } = current();
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
    const { snapshot, catalogue, release } = current();
    const item = REF.test(ref) ? catalogue.item(ref) : undefined;
    if (item === undefined) throw new AccordError('NOT_FOUND', `no element or predicate ${ref.slice(0, 127)}`);
    return { release, item: titled(item, snapshot) };
  });
}

/** Made when it is first asked for, and again when another content or another dictionary is in force. */
function keepCatalogue(server: ServerParts) {
  let kept: { hash: string; dictionary: Dictionary; catalogue: Catalogue } | undefined;
  return () => {
    const snapshot = server.configuration.current();
    const dictionary = server.dictionary.dictionary(snapshot);
    if (dictionary === null) throw new AccordError('DICTIONARY_MISSING');
    if (kept?.hash !== snapshot.hash || kept.dictionary !== dictionary) {
      const tables = snapshot.services().flatMap(({ id }) => snapshot.binding(id) ?? []);
      kept = { hash: snapshot.hash, dictionary, catalogue: openCatalogue(dictionary, tables) };
    }
    return { snapshot, catalogue: kept.catalogue, release: dictionary.release };
  };
}

function titled({ services, ...item }: CatalogueItem, snapshot: ConfigurationSnapshot) {
  return { ...item, services: services.map((one) => ({ ...one, title: snapshot.service(one.service)?.title ?? '' })) };
}
