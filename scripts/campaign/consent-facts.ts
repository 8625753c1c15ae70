// The small country of campaign `consent`: who asks whom, for what, and what the fields are. Plain facts, from which the
// setting makes registrations and the oracle makes up its mind; neither asks the other.
import type { Basis } from '#schemas/statement.ts';

export const CLIENTS = ['DEV/GOV/1001/consumer', 'DEV/GOV/1001/other'] as const;
const PROVIDERS = ['DEV/GOV/2002/provider', 'DEV/GOV/2002/clinic'] as const;
export const SERVICES = [`${PROVIDERS[0]}/residents`, `${PROVIDERS[0]}/archive`, `${PROVIDERS[1]}/residents`] as const;
/** The last one is registered nowhere. */
export const ISSUERS = ['DEV/GOV/9000/consent', 'DEV/GOV/9001/consent', 'DEV/GOV/9002/consent'] as const;

export type Client = (typeof CLIENTS)[number];
export type Service = (typeof SERVICES)[number];
export type Field = keyof typeof FIELDS;
export type PurposeName = keyof typeof PURPOSES;

/** The citizen's own name for each field; level 1 to 4. `income` and `currency` are released together or not at all. */
export const FIELDS = {
  phone: { element: 'gx.phone@1', level: 1 },
  name: { element: 'gx.name@1', level: 2 },
  birthDate: { element: 'gx.birth_date@1', level: 2 },
  adult: { element: 'gx.pred.age_ge_18@1', level: 2 },
  income: { element: 'gx.income@1', level: 3 },
  currency: { element: 'gx.currency@1', level: 3 },
  diagnosis: { element: 'gx.diagnosis@1', level: 4 },
} as const;
export const TOGETHER: readonly Field[] = ['income', 'currency'];
export const ALL_FIELDS = Object.keys(FIELDS) as Field[];

/** The words in force have the number `version`; others of the same name had other words. */
export const PURPOSES = {
  aid: { version: 2, bases: ['consent', 'law'], fields: ['phone', 'name', 'birthDate', 'adult', 'income', 'currency'] },
  care: { version: 1, bases: ['consent', 'emergency'], fields: ['name', 'adult', 'diagnosis', 'phone', 'birthDate'] },
  tax: { version: 1, bases: ['consent', 'law', 'open'], fields: ['name', 'income', 'currency', 'diagnosis'] },
  old: { version: 1, bases: ['consent'], fields: ['name'] },
} as const satisfies Record<string, { version: number; bases: readonly Basis[]; fields: readonly Field[] }>;
/** Has ended. */
export const ENDED: PurposeName = 'old';

export interface Right {
  client: Client;
  service: Service;
  purposes: readonly PurposeName[];
  /** Number of the words it was given for, where they are not those in force. */
  pinned?: number;
  bases: readonly Basis[];
  fields: readonly Field[];
  /** Ended before the campaign began. */
  ended?: true;
}

const [DEPARTMENT, OTHER] = CLIENTS;
const [RESIDENTS, ARCHIVE, CLINIC] = SERVICES;
const every: readonly Basis[] = ['consent', 'law', 'emergency', 'open'];

export const RIGHTS: readonly Right[] = [
  { client: DEPARTMENT, service: RESIDENTS, purposes: ['aid', 'care', 'old'], bases: every, fields: ALL_FIELDS },
  { client: DEPARTMENT, service: RESIDENTS, purposes: ['tax'], bases: ['law', 'open'], fields: ALL_FIELDS },
  {
    client: DEPARTMENT,
    service: ARCHIVE,
    purposes: ['aid', 'tax'],
    bases: ['consent'],
    fields: ['name', 'adult', 'income'],
  },
  { client: DEPARTMENT, service: CLINIC, purposes: ['care'], bases: ['consent', 'emergency'], fields: ALL_FIELDS },
  { client: DEPARTMENT, service: CLINIC, purposes: ['aid'], bases: ['consent'], fields: ALL_FIELDS, ended: true },
  { client: OTHER, service: RESIDENTS, purposes: ['aid', 'tax'], bases: ['consent', 'law'], fields: ALL_FIELDS },
  { client: OTHER, service: ARCHIVE, purposes: ['aid'], pinned: 1, bases: ['consent'], fields: ALL_FIELDS },
];

/** What the department's register holds of a person; the subject is in every value, so that a mistaken one shows. */
export function heldOf(subject: string): Record<Exclude<Field, 'adult'>, string | number> {
  const isAdult = Number(subject.at(-1)) % 2 === 0;
  return {
    phone: `phone ${subject}`,
    name: `name ${subject}`,
    birthDate: isAdult ? '1980-05-06' : '2024-05-06',
    income: Number(subject),
    currency: `C${subject.slice(-2)}`,
    diagnosis: `diagnosis ${subject}`,
  };
}
