// Which accesses are shown: by the department that answered and by basis, a hundred on a page. The choice stands in the
// address, which the visitor controls: what is no choice is none.
import type { KnownWords } from '#consent-service/known-words.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import type { Access } from '#schemas/accesses.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import type { Voice } from './words.ts';

export interface AccessFilter {
  /** Subsystem that answered; null for all. */
  department: string | null;
  basis: Access['basis'] | null;
  /** From 1. */
  page: number;
}

const BASES: readonly Access['basis'][] = ['consent', 'law', 'emergency', 'open'];
const ON_PAGE = 100;

export function readFilter(query: Readonly<Record<string, unknown>>): AccessFilter {
  const { department, basis, page } = query;
  return {
    department: typeof department === 'string' && department.length <= 300 ? department : null,
    basis: BASES.find((one) => one === basis) ?? null,
    page: typeof page === 'string' && /^[1-9][0-9]?$/.test(page) ? Number(page) : 1,
  };
}

export function filtered(accesses: readonly Access[], { department, basis }: AccessFilter): Access[] {
  return accesses.filter(
    (access) =>
      (department === null || subsystemOfService(access.service) === department) &&
      (basis === null || access.basis === basis),
  );
}

export function pageOf(accesses: readonly Access[], { page }: AccessFilter): Access[] {
  return accesses.slice((page - 1) * ON_PAGE, page * ON_PAGE);
}

/** Only choices that show something. */
export function filterLinks(
  { words: { looked } }: Voice,
  { filter, known }: { filter: AccessFilter; known: KnownWords },
  accesses: readonly Access[],
): Html {
  const departments = [...new Set(accesses.map(({ service }) => subsystemOfService(service)))].toSorted();
  const bases = BASES.filter((basis) => accesses.some((access) => access.basis === basis));
  const link = (over: Partial<AccessFilter>, isHere: boolean, name: Html) =>
    html`<li><a href="${addressOf({ ...filter, page: 1, ...over })}"${isHere && html` aria-current="true"`}>${name}</a></li>
`;
  const list = (label: string, links: Html[]) =>
    links.length > 1 &&
    html`<nav aria-label="${looked.filter}: ${label}"><p>${label}</p><ul>${links}</ul></nav>
`;
  const all = html`${looked.everything}`;
  return html`${list(looked.byDepartment, [
    link({ department: null }, filter.department === null, all),
    ...departments.map((one) =>
      link({ department: one }, filter.department === one, html`${apart(known.member(one))} <code>${one}</code>`),
    ),
  ])}${list(looked.byBasis, [
    link({ basis: null }, filter.basis === null, all),
    ...bases.map((basis) => link({ basis }, filter.basis === basis, html`${looked.bases[basis]}`)),
  ])}`;
}

export function pageLinks({ words: { looked } }: Voice, filter: AccessFilter, count: number): Html | false {
  const { page } = filter;
  const newer = page > 1 && html`<p><a href="${addressOf({ ...filter, page: page - 1 })}">${looked.newer}</a></p>`;
  const older =
    page * ON_PAGE < count && html`<p><a href="${addressOf({ ...filter, page: page + 1 })}">${looked.older}</a></p>`;
  return (newer !== false || older !== false) && html`${newer}${older}`;
}

/** The list with this choice, and nothing in the address that is not chosen. */
function addressOf({ department, basis, page }: AccessFilter): string {
  const query = new URLSearchParams({
    ...(department === null ? {} : { department }),
    ...(basis === null ? {} : { basis }),
    ...(page === 1 ? {} : { page: String(page) }),
  }).toString();
  return query === '' ? '/accesses' : `/accesses?${query}`;
}
