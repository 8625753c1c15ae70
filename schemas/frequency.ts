// How often a consent may be used (DESIGN: who may ask for what, Consent): at most so many requests within any so many days,
// beside the number of uses in all. The department asks for it, the citizen reads it, the receipt carries it, the provider
// counts it.
import { MAX_CONSENT_DAYS, MAX_FREQUENCY_USES } from './limits.ts';
import { type Static, Type } from './schema-builder.ts';

/** At each service, within any `days` × 24 hours: a window that moves with the time, not a day of the calendar. */
export const Frequency = Type.Object(
  {
    uses: Type.Integer({ minimum: 1, maximum: MAX_FREQUENCY_USES }),
    days: Type.Integer({ minimum: 1, maximum: MAX_CONSENT_DAYS }),
  },
  { additionalProperties: false },
);
export type Frequency = Static<typeof Frequency>;
