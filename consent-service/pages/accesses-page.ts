// Who looked at my data: what the departments answered to the citizen's own question, every access on every basis. Names,
// case numbers, reasons and units come from departments and pass as text.
import type { AccessesAnswer } from '#consent-service/departments.ts';
import type { KnownWords } from '#consent-service/known-words.ts';
import type { ShownAnswer } from '#consent-service/shown-accesses.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import { type Body, csrfField } from '#core/http/pages/frame.ts';
import type { Access } from '#schemas/accesses.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { accessCard } from './access-card.ts';
import { type AccessFilter, filtered, filterLinks, pageLinks, pageOf } from './access-filter.ts';
import { doubtCard } from './doubt-pages.ts';
import { timeOf } from './parts.ts';
import type { Voice } from './words.ts';

export interface AccessesView {
  csrf: string;
  /** Departments can be asked. */
  canAsk: boolean;
  /** Null before the first question, and a quarter of an hour after the last one. */
  answer: ShownAnswer | null;
  filter: AccessFilter;
  known: KnownWords;
  /** By number of the receipt, the permission it belongs to. */
  permissions: ReadonlyMap<string, string>;
}

export const SPANS = { month: 30, year: 365, all: null } as const;

export function accessesPage(voice: Voice, view: AccessesView): Body {
  const { words } = voice;
  const { answer } = view;
  const content = html`${answer !== null && answerOf(voice, view, answer)}${
    answer !== null &&
    html`<h2>${words.looked.askAgain}</h2>
`
  }<p>${words.looked.text}</p>
<p>${words.looked.why}</p>
<p class="hint">${words.looked.account}</p>
${view.canAsk ? askForm(voice, view.csrf) : html`<p class="box">${words.looked.notSetUp}</p>`}`;
  return { title: words.accesses, content };
}

function askForm({ words }: Voice, csrf: string): Html {
  const options = (['month', 'year', 'all'] as const).map(
    (span) => html`<option value="${span}">${words.looked.spans[span]}</option>`,
  );
  return html`<form method="post" action="/accesses">${csrfField(csrf)}
<p><label for="span">${words.looked.span}</label><br><select name="span" id="span" class="field">${options}</select></p>
<div class="buttons"><button>${words.looked.ask}</button></div></form>`;
}

function answerOf(voice: Voice, view: AccessesView, answer: ShownAnswer): Html {
  const { words } = voice;
  const { question, accesses } = answer;
  const others = accesses.filter(({ isOwn }) => !isOwn);
  const own = accesses.filter(({ isOwn }) => isOwn);
  const chosen = filtered(others, view.filter);
  const cards = pageOf(chosen, view.filter).map((access) => accessCard(voice, view, access));
  const none = others.length === 0 ? words.looked.none : words.looked.noneHere;
  return html`${emergenciesOf(voice, view, others)}${departmentsOf(voice, answer)}
<p>${words.looked.asked}${voice.marks.colon}${timeOf(voice, question.atMs)}${voice.marks.stop} ${words.looked.since}${voice.marks.colon}${timeOf(voice, question.fromMs)}${voice.marks.stop}</p>
${answer.isCut && html`<p class="box">${words.looked.isCut}</p>`}
<h2>${words.looked.list}</h2>
${others.length > 0 && filterLinks(voice, view, others)}
${cards.length === 0 ? html`<p>${none}</p>` : cards}
${pageLinks(voice, view.filter, chosen.length)}
${doubtsOf(voice, view, answer)}
${own.length > 0 && ownOf(voice, own, view)}
`;
}

/** What a person must not overlook stands before everything else. */
function emergenciesOf(voice: Voice, { known }: AccessesView, accesses: readonly Access[]): Html | false {
  const { looked } = voice.words;
  const found = accesses.filter(({ basis }) => basis === 'emergency');
  const items = found.map(
    ({
      exchange,
      atMs,
      client,
      service,
      emergency,
    }) => html`<li>${timeOf(voice, atMs)}${voice.marks.colon}<a href="/accesses/${exchange}">${apart(known.member(client))}</a>${voice.marks.comma}${apart(known.provider(service))}${
      emergency !== null &&
      html`${voice.marks.stop} ${looked.emergencyReason}${voice.marks.colon}${apart(emergency.reason)}`
    }</li>
`,
  );
  return (
    items.length > 0 &&
    html`<section class="box error" aria-labelledby="emergency"><h2 id="emergency">${looked.emergency}</h2>
<p>${looked.emergencyText}</p>
<ul>${items}</ul></section>
`
  );
}

function departmentsOf({ words: { looked, code: codeWord }, marks }: Voice, { departments }: AccessesAnswer): Html {
  const answered = departments.filter((one) => one.answered);
  const missing = departments.flatMap((one) =>
    one.answered
      ? []
      : [
          html`<li><strong>${apart(one.name)}</strong> <code>${one.subsystem}</code>${marks.colon}${one.code === 'QUESTION_LIMIT' ? looked.tooOften : looked[one.why]} ${codeWord}${marks.colon}<code>${one.code}</code></li>
`,
        ],
  );
  const cut = answered.flatMap((one) =>
    one.answered && one.hasMore
      ? [
          html`<li>${apart(one.name)} <code>${one.subsystem}</code>${marks.colon}${looked.hasMore}</li>
`,
        ]
      : [],
  );
  return html`<p role="status"><strong>${looked.answered(answered.length, String(departments.length))}</strong></p>
${missing.length > 0 && html`<div class="box error"><p>${looked.missing}</p><ul>${missing}</ul></div>`}
${cut.length > 0 && html`<ul>${cut}</ul>`}`;
}

function doubtsOf(voice: Voice, { known }: AccessesView, { doubts }: ShownAnswer): Html | false {
  if (doubts.length === 0) return false;
  return html`<h2>${voice.words.looked.doubts}</h2>
${doubts.map((doubt) => doubtCard(voice, known, doubt, 3))}`;
}

function ownOf(voice: Voice, own: readonly Access[], { known }: AccessesView): Html {
  const { looked } = voice.words;
  const items = own.map(
    ({ atMs, service, outcome }) =>
      html`<li>${timeOf(voice, atMs)}${voice.marks.colon}${apart(known.provider(service))} <code>${subsystemOfService(service)}</code>${voice.marks.comma}${looked.outcomes[outcome]}</li>
`,
  );
  return html`<details><summary>${looked.own(own.length)}</summary><p>${looked.ownText}</p><ul>${items}</ul></details>`;
}
