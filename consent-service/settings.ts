// The settings of one consent service: `consent.json` in its data folder, made by `accord consent-service init`. Secrets do
// not stand here: the address of a PostgreSQL comes from the environment (main.ts). The service's operator controls all of it.
import { SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import { parseJson } from '#schemas/json.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';

const closed = { additionalProperties: false };
const Listen = Type.Object(
  { host: Type.String({ minLength: 1, maxLength: 255 }), port: Type.Integer({ minimum: 0, maximum: 65_535 }) },
  closed,
);

export const ConsentSettings = Type.Object(
  {
    v: Type.Literal(1),
    /** INSTANCE/CLASS/MEMBER/SUBSYSTEM: who issues the receipts. */
    subsystem: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    /** Origin under which citizens reach the citizen port; https, or http on loopback. */
    citizenUrl: Type.String({ pattern: '^https?://[^/?#\\s]{1,255}$' }),
    /** Pages, sign-in and status lists. Outside loopback a proxy with TLS stands before it. */
    citizen: Listen,
    /** The backend behind the own security server. */
    filing: Listen,
    /** The own security server's port for plain HTTP, through which hints are sent; null for none. */
    server: Type.Union([Type.String({ pattern: '^http://[^/?#\\s]{1,255}$' }), Type.Null()]),
    configurationPollMs: Type.Integer({ minimum: 1_000, maximum: 3_600_000 }),
    configurationMaxStaleMs: Type.Integer({ minimum: 60_000, maximum: 7 * 86_400_000 }),
    logLevel: Type.Union(['silent', 'fatal', 'error', 'warn', 'info', 'debug'].map((level) => Type.Literal(level))),
  },
  closed,
);
export type ConsentSettings = Static<typeof ConsentSettings>;

export const DEFAULT_CONSENT_SETTINGS = {
  v: 1,
  citizen: { host: '127.0.0.1', port: 4500 },
  filing: { host: '127.0.0.1', port: 4501 },
  server: 'http://127.0.0.1:8080',
  configurationPollMs: 60_000,
  configurationMaxStaleMs: 86_400_000,
  logLevel: 'info',
} as const;

const check = compile(ConsentSettings, 'SETTINGS_INVALID');

/** @throws SETTINGS_INVALID naming the setting, JSON_* */
export function readConsentSettings(text: string): ConsentSettings {
  return Object.freeze(check(parseJson(text, { maxBytes: 64 * 1024, maxDepth: 3, maxValues: 100 })));
}
