// The form with which a citizen asks somebody to act for them, read strictly; whoever sends it controls all of it.
import type { FastifyRequest } from 'fastify';
import { MAX_CITIZEN_MANDATE_DAYS, MAX_MANDATE_PURPOSES } from '#schemas/limits.ts';
import { MandateOffer } from '#schemas/mandate.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';

const DAY_MS = 86_400_000;
const FIELDS = ['name', 'theirName', 'scheme', 'value', 'which', 'level', 'days'] as const;

export type OfferFault = 'name' | 'value' | 'purposes' | 'days';

/** What was typed, to be shown again. */
export interface TypedOffer {
  fields: Record<(typeof FIELDS)[number], string>;
  purposes: readonly string[];
}

export const EMPTY_OFFER: TypedOffer = {
  fields: { name: '', theirName: '', scheme: '', value: '', which: '', level: '2', days: '90' },
  purposes: [],
};

const check = compile(MandateOffer, 'SCHEMA_MISMATCH');
const checkName = compile(MandateOffer.properties.name, 'SCHEMA_MISMATCH');

/** @throws SCHEMA_MISMATCH for what no browser sends from the page */
export function readTyped({ body }: FastifyRequest): TypedOffer {
  if (typeof body !== 'object' || body === null) throw faulty();
  const { csrf: _, purpose = [], which = '', ...fields } = { ...body } as Record<string, unknown>;
  const all: Record<string, unknown> = { ...fields, which };
  const purposes: unknown[] = Array.isArray(purpose) ? purpose : [purpose];
  const isKnown = Object.keys(all).length === FIELDS.length && FIELDS.every((name) => isShort(all[name]));
  if (!isKnown || purposes.length > MAX_MANDATE_PURPOSES || !purposes.every(isShort)) throw faulty();
  const texts = FIELDS.map((name) => [name, String(all[name]).trim()] as const);
  return { fields: Object.fromEntries(texts) as TypedOffer['fields'], purposes: purposes.map(String) };
}

/** What can be offered, or what the citizen has to correct. @throws SCHEMA_MISMATCH */
export function offerOf({ fields, purposes }: TypedOffer, nowMs: number): MandateOffer | { faults: OfferFault[] } {
  const { name, theirName, scheme, value, which, level, days } = fields;
  const faults: OfferFault[] = [];
  if (!isName(name) || !isName(theirName)) faults.push('name');
  if (value === '') faults.push('value');
  if (which !== 'all' && (which !== 'some' || purposes.length === 0)) faults.push('purposes');
  const count = /^[1-9][0-9]{0,2}$/.test(days) ? Number(days) : 0;
  if (count < 1 || count > MAX_CITIZEN_MANDATE_DAYS) faults.push('days');
  if (faults.length > 0) return { faults };
  return check({
    representative: { scheme, value, name: theirName },
    name,
    purposes: which === 'all' ? null : purposes,
    maxLevel: Number(level),
    notBeforeMs: nowMs,
    validUntilMs: nowMs + count * DAY_MS,
  });
}

function isName(text: string): boolean {
  try {
    checkName(text);
    return true;
  } catch (error) {
    if (isAccordError(error)) return false;
    throw error;
  }
}

function isShort(text: unknown): boolean {
  return typeof text === 'string' && text.length <= 500;
}

function faulty(): AccordError {
  return new AccordError('SCHEMA_MISMATCH', 'the form');
}
