// GET and POST /archive in the admin API: how far the message log is archived, and beginning a run now. An administrator
// controls the input.
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0 });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

export const ArchiveView = Type.Object(
  {
    destination: orNull(Type.String()),
    locked: Type.Boolean(),
    archivedUntil: count,
    entries: count,
    afterDays: orNull(count),
    oldestMs: orNull(count),
    overdue: Type.Boolean(),
    running: Type.Boolean(),
    newest: orNull(Type.Object({ from: count, to: count, atMs: count }, closed)),
    trouble: orNull(Type.Object({ code: Type.String(), detail: Type.String(), sinceMs: count }, closed)),
    /** Logs that were closed before the one in use. */
    closed: Type.Array(
      Type.Object(
        {
          ...{
            origin: Type.String(),
            entries: count,
            archivedUntil: count,
            signedUntil: count,
            oldestMs: orNull(count),
          },
          trouble: orNull(Type.Object({ code: Type.String(), detail: Type.String() }, closed)),
        },
        closed,
      ),
    ),
  },
  closed,
);

export const ArchiveInput = Type.Object(
  {
    /** Of entries older than that; null: as the settings say. */
    afterDays: orNull(Type.Integer({ minimum: 0, maximum: 36_525 })),
  },
  closed,
);
const check: (value: unknown) => Static<typeof ArchiveInput> = compile(ArchiveInput, 'SCHEMA_MISMATCH');

export function addArchiveRoutes(app: FastifyInstance, { archive }: ServerParts): void {
  app.get('/archive', async () => archive.state());
  app.post('/archive', async (request, reply) => {
    const { afterDays } = check(request.body);
    archive.begin(afterDays ?? undefined);
    return reply.code(202).send(archive.state());
  });
}
