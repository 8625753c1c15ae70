// Inputs of a decision as the tests of it need them: all in order unless a row says otherwise.
import type { AskedElement, AskedOfBinding, DecisionInputs } from '#policy/decision-inputs.ts';
import { type AccessRight, PLAIN_TERMS } from '#schemas/access-right.ts';

export const CLIENT = 'DEV/GOV/1001/consumer';
export const SERVICE = 'DEV/GOV/2002/provider/echo';
export const NOW = 1_800_000_000_000;

export function right(over: Partial<AccessRight> = {}): AccessRight {
  return {
    id: '00000000-0000-4000-8000-000000000001',
    client: CLIENT,
    service: SERVICE,
    endpoints: [{ method: '*', path: '/**' }],
    bases: ['open'],
    pins: {},
    ...PLAIN_TERMS,
    notAfterMs: NOW,
    ...over,
  };
}

export type Over = Partial<Omit<DecisionInputs, 'request'>> & { request?: Partial<DecisionInputs['request']> };

export function inputs({ request, ...over }: Over = {}): DecisionInputs {
  const asked = { client: CLIENT, service: SERVICE, method: 'GET', path: '/a', purpose: null, basis: 'open' as const };
  return {
    v: 1,
    nowMs: NOW,
    request: {
      ...asked,
      userId: null,
      issue: null,
      subject: null,
      fields: null,
      partial: false,
      hiddenUntil: null,
      ...request,
    },
    defaultsFrom: null,
    clientRegistered: true,
    groups: [],
    lockedFor: null,
    today: '2027-01-15',
    service: { enabled: true, notice: null, personalData: false },
    binding: null,
    purpose: null,
    purposeEnded: false,
    consent: null,
    evidence: null,
    rights: [{ right: right(), usedToday: 0 }],
    predicateUse: [],
    ...over,
  };
}

export const one = (over: Partial<AccessRight>, usedToday = 0) => ({ rights: [{ right: right(over), usedToday }] });
export const off = { enabled: false, notice: 'back on Monday', personalData: false };

export const personal = { enabled: true, notice: null, personalData: true };
export const [A, B, C, P, Q] = ['gx.a@1', 'gx.b@1', 'gx.c@1', 'gx.pred.p@1', 'gx.pred.q@1'] as const;
/** Purpose x, registered and in force, asked for. */
export const PURPOSE_X: Over = {
  request: { purpose: 'x' },
  purpose: { version: 1, hash: 'h', bases: ['open', 'law'], elements: [A], quotaPerDay: null, usedToday: 0 },
};
export const ASKED: Record<string, AskedElement> = {
  '/a': { path: '/a', element: A, level: 1, inputs: [], group: null },
  '/b': { path: '/b', element: B, level: 2, inputs: [], group: '/ gx.group.g@1' },
  '/c': { path: '/c', element: C, level: 2, inputs: [], group: '/ gx.group.g@1' },
  [P]: { path: null, element: P, level: 2, inputs: [A], group: null },
  [Q]: { path: null, element: Q, level: 2, inputs: [A, B], group: null },
};

/** A request for these fields of a bound operation. */
export function bound(fields: string[], over: Over = {}, binding: Partial<AskedOfBinding> = {}): Over {
  const asked = fields.flatMap((field) => ASKED[field] ?? []);
  const unknown = fields.filter((field) => ASKED[field] === undefined);
  const about = { table: 't', operation: 'GET /a', needsSubject: true, purposes: [], tooMany: false };
  const subject = { scheme: 'gx.id@1', value: '1' };
  return {
    ...over,
    request: { fields, subject, ...over.request },
    binding: { ...about, asked, unknown, ...binding },
  };
}
