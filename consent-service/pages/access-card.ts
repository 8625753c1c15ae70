// One access to a citizen's data, item by item.
import type { KnownWords } from '#consent-service/known-words.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import type { Body } from '#core/http/pages/frame.ts';
import type { Access } from '#schemas/accesses.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { timeOf } from './parts.ts';
import { refusalWords } from './refusal-words.ts';
import type { Voice } from './words.ts';

interface CardParts {
  known: KnownWords;
  /** By number of the receipt, the permission it belongs to. */
  permissions: ReadonlyMap<string, string>;
}

export function accessCard(voice: Voice, parts: CardParts, access: Access): Html {
  return html`<section class="card"><h3>${timeOf(voice, access.atMs)}${voice.marks.colon}${apart(parts.known.member(access.client))}</h3>
${factsOf(voice, parts, access)}
${reportLink(voice, parts, access)}</section>
`;
}

/** A page of its own, where a link to one access leads. */
export function accessPage(voice: Voice, parts: CardParts, access: Access): Body {
  const { words } = voice;
  const content = html`${factsOf(voice, parts, access)}
${reportLink(voice, parts, access)}
<p><a href="/accesses">${words.doubt.toAccesses}</a></p>`;
  return { title: `${words.accesses}${voice.marks.colon}${voice.time(access.atMs)}`, content };
}

function reportLink(
  { words, time }: Voice,
  { known }: CardParts,
  { exchange, outcome, items, client, atMs }: Access,
): Html | false {
  if (outcome !== 'answered' || items.length === 0) return false;
  const what = `${time(atMs)}, ${known.member(client)}`;
  return html`<p><a href="/accesses/${exchange}/doubt">${words.looked.report}<span class="visually-hidden"> ${words.looked.reportOf(what)}</span></a></p>`;
}

function factsOf(voice: Voice, parts: CardParts, access: Access): Html {
  const { words, language } = voice;
  const { looked } = words;
  const { known } = parts;
  const { client, service, purpose, basis, issue, unit, emergency, receipt, atMs, exchange } = access;
  const rows: (readonly [string, Html])[] = [
    [looked.when, timeOf(voice, atMs)],
    [looked.who, html`${apart(known.member(client))} <code>${client}</code>`],
    ...(unit === null ? [] : [[looked.unit, apart(unit)] as const]),
    ...(purpose === null ? [] : [[looked.why2, apart(known.purpose(purpose, atMs)[language])] as const]),
    ...(issue === null ? [] : [[looked.case, apart(issue)] as const]),
    [looked.basis, html`${looked.bases[basis]}`],
    ...(emergency === null
      ? []
      : [[looked.emergencyReason, html`${apart(emergency.reason)} <code>${emergency.id}</code>`] as const]),
    [
      looked.from,
      html`${apart(known.provider(service))}${voice.marks.colon}${apart(known.service(service))} <code>${subsystemOfService(service)}</code>`,
    ],
    [looked.outcome, outcomeOf(voice, access)],
    ...itemRows(voice, known, access),
    ...(receipt === null ? [] : [[looked.permission, permissionOf(voice, parts, receipt)] as const]),
    [looked.number, html`<code>${exchange}</code>`],
  ];
  return html`<dl>
${rows.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>`;
}

function outcomeOf({ words, language, marks }: Voice, { outcome, code }: Access): Html {
  const said = html`<span class="state">${words.looked.outcomes[outcome]}</span>`;
  if (code === null || code === 'OK') return said;
  const why = refusalWords(code, language);
  return html`${said} ${why !== null && html`${why}${marks.stop} `}${words.code}${marks.colon}<code>${code}</code>`;
}

/** What was told; and what was asked for, where that is more. */
function itemRows({ words, language }: Voice, known: KnownWords, { asked, items, outcome }: Access) {
  const { looked } = words;
  const listOf = (refs: readonly string[]) =>
    html`<ul>${refs.map((ref) => html`<li>${apart(known.item(ref)[language])}</li>`)}</ul>`;
  const rows: (readonly [string, Html])[] = [];
  if (outcome === 'answered' && items.length === 0 && asked.length === 0)
    rows.push([looked.what, html`${looked.unbound}`]);
  else if (outcome === 'answered')
    rows.push([looked.what, items.length === 0 ? html`${looked.nothingTold}` : listOf(items)]);
  if (asked.some((ref) => !items.includes(ref))) rows.push([looked.whatAsked, listOf(asked)]);
  return rows;
}

function permissionOf({ words: { looked } }: Voice, { permissions }: CardParts, receipt: string): Html {
  const permission = permissions.get(receipt);
  return permission === undefined
    ? html`${looked.permissionOther} <code>${receipt}</code>`
    : html`<a href="/permissions/${permission}">${looked.permissionOf}</a>`;
}
