// What an auditor searches for: the fields of the search form as the address of the page carries them, read strictly.
// None of them can name a person. The auditor controls all of it.
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';

export interface Criteria {
  /** Message id of the request. */
  id: string;
  /** A member or subsystem or security server: client, provider or the other server is it or belongs to it. */
  department: string;
  service: string;
  purpose: string;
  /** Outcome or decision code. */
  code: string;
  /** Wall-clock, UTC: `2026-11-23` or `2026-11-23T14:05`; the first moment, and the last day or minute included. */
  from: string;
  to: string;
  /** Entries about exchanges, or about the log itself. */
  about: 'exchanges' | 'log';
}

type CriteriaFault = Exclude<keyof Criteria, 'about'> | 'period';

export interface ReadCriteria {
  criteria: Criteria;
  faults: CriteriaFault[];
  /** Whether anything was asked for at all. */
  isAsked: boolean;
  /** Only entries before this one: where the page before this one ended. */
  before: number | null;
}

const LENGTHS = { id: 128, department: 512, service: 512, purpose: 128, code: 64, from: 16, to: 16 } as const;
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2})?$/;
const ID = new RegExp(MESSAGE_ID_PATTERN);
const CODE = /^[A-Z][A-Z0-9_]*$/;
// C0, DEL and C1: no name of the field has any, and nothing good comes of showing them.
const CONTROL = /\p{Cc}/u;

/** Never throws: what is wrong is told beside its field. @param query of the address; each name may stand once */
export function readCriteria(query: Readonly<Record<string, unknown>>): ReadCriteria {
  const faults: CriteriaFault[] = [];
  const text = (name: keyof typeof LENGTHS): string => {
    const value = query[name];
    if (value === undefined) return '';
    const isFine = typeof value === 'string' && value.length <= LENGTHS[name] && !CONTROL.test(value);
    if (!isFine) faults.push(name);
    return isFine ? value.trim() : '';
  };
  const about = query['about'] === 'log' ? ('log' as const) : ('exchanges' as const);
  const criteria: Criteria = {
    id: text('id'),
    department: text('department').replace(/\/+$/, ''),
    service: text('service'),
    purpose: text('purpose'),
    code: text('code'),
    from: text('from'),
    to: text('to'),
    about,
  };
  if (criteria.id !== '' && about === 'exchanges' && !ID.test(criteria.id)) faults.push('id');
  if (criteria.code !== '' && !CODE.test(criteria.code)) faults.push('code');
  for (const name of ['from', 'to'] as const) {
    if (criteria[name] !== '' && momentOf(criteria[name]) === null) faults.push(name);
  }
  const period = periodOf(criteria);
  if (faults.length === 0 && period.fromMs >= period.untilMs) faults.push('period');
  const before =
    typeof query['before'] === 'string' && /^\d{1,15}$/.test(query['before']) ? Number(query['before']) : null;
  const isAsked = query['search'] !== undefined || before !== null || Object.keys(LENGTHS).some((name) => query[name]);
  return { criteria, faults, isAsked, before };
}

/** [from, until) in ms since the epoch. */
export function periodOf({ from, to }: Pick<Criteria, 'from' | 'to'>): { fromMs: number; untilMs: number } {
  const last = momentOf(to);
  return {
    fromMs: momentOf(from)?.atMs ?? 0,
    untilMs: last === null ? Number.MAX_SAFE_INTEGER : last.atMs + last.lengthMs,
  };
}

/** The beginning of a day or a minute, and how long it is. */
function momentOf(text: string): { atMs: number; lengthMs: number } | null {
  if (!TIME.test(text)) return null;
  const isDay = text.length === 10;
  const atMs = Date.parse(isDay ? `${text}T00:00:00.000Z` : `${text}:00.000Z`);
  const isReal = Number.isFinite(atMs) && new Date(atMs).toISOString().startsWith(text);
  return isReal ? { atMs, lengthMs: isDay ? 86_400_000 : 60_000 } : null;
}

/** The address of a search, of the page `before` when it is given. */
export function searchQuery(criteria: Criteria, before: number | null): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(criteria)) if (value !== '') params.set(name, value);
  params.set('search', '1');
  if (before !== null) params.set('before', String(before));
  return params.toString();
}
