// GET and POST /anchoring in the admin API: how far the message log is anchored, and doing it now.
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from '#schemas/schema-builder.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0 });
const Anchored = Type.Union([
  Type.Object({ seq: count, size: count, atMs: count, hasToken: Type.Boolean(), isDirect: Type.Boolean() }, closed),
  Type.Null(),
]);
const name = Type.Union([Type.String(), Type.Null()]);

const TimeStamps = Type.Object(
  {
    /** Null where the configuration names no authority. */
    graceMs: Type.Union([count, Type.Null()]),
    /** The oldest entry without a time-stamp. */
    waiting: Type.Union([Type.Object({ seq: count, sinceMs: count, waitedMs: count }, closed), Type.Null()]),
    overdue: Type.Boolean(),
    /** As this server met them itself; most tokens come through the registry. */
    authorities: Type.Array(
      Type.Object(
        {
          ...{
            name: Type.String(),
            failures: count,
            lastProblem: name,
            lastTokenAtMs: Type.Union([count, Type.Null()]),
          },
          /** What lists and responders say of its certificate. */
          certificate: Type.Object(
            { name: Type.String(), status: Type.String(), untilMs: Type.Union([count, Type.Null()]) },
            closed,
          ),
        },
        closed,
      ),
    ),
  },
  closed,
);

/** This server as a witness of the aggregate log. */
const WitnessView = Type.Object(
  {
    name: Type.String(),
    verifierKeys: Type.Array(Type.String()),
    url: Type.String(),
    /** False when its memory cannot be written: it cosigns nothing. */
    running: Type.Boolean(),
    /** Logs that it knows, the aggregate log among them; cosignatures and refusals since the start. */
    origins: count,
    cosigned: count,
    refused: count,
  },
  closed,
);
export type WitnessView = Static<typeof WitnessView>;

export const AnchoringView = Type.Object(
  {
    origin: Type.String(),
    /** Entries in the log. */
    entries: count,
    registryWitness: name,
    quorum: count,
    newest: Anchored,
    newestStamped: Anchored,
    /** Who vouched for the newest anchoring. */
    vouched: Type.Union([
      Type.Object(
        {
          size: count,
          witnesses: Type.Array(Type.String()),
          stamps: Type.Array(Type.Object({ authority: Type.String(), genTimeMs: count }, closed)),
        },
        closed,
      ),
      Type.Null(),
    ]),
    witnessedSize: count,
    waiting: count,
    trouble: Type.Union([
      Type.Object({ code: Type.String(), detail: Type.String(), sinceMs: count }, closed),
      Type.Null(),
    ]),
    timeStamps: TimeStamps,
    witness: Type.Union([WitnessView, Type.Null()]),
  },
  closed,
);

export function addAnchoringRoutes(
  app: FastifyInstance,
  { log, anchoring }: ServerParts,
  witness: () => WitnessView | null = () => null,
): void {
  const timeStamps = () => ({ ...anchoring.grace.state(), authorities: anchoring.authorities() });
  const view = (state = anchoring.state()) => ({
    ...{ origin: log.origin, entries: log.size(), ...state },
    timeStamps: timeStamps(),
    vouched: anchoring.newestFacts(),
    witness: witness(),
  });
  app.get('/anchoring', async () => view());
  app.post('/anchoring', async () => view(await anchoring.anchorNow()));
}
