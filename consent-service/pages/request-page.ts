// Requests that wait for a citizen, and the page on which one is decided: everything that has to be known before, items
// that are ticked one by one (none beforehand), and two equal buttons (WCAG 2.2, 3.3.1 and 3.3.3 for its errors).
import type { AskedItem, ConsentView } from '#consent-service/consents.ts';
import type { MandateView } from '#consent-service/mandates.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import { type Body, csrfField } from '#core/http/pages/frame.ts';
import { bannerOf, forWhom, placeOf } from './acting-parts.ts';
import { MANDATE_WORDS } from './mandate-words.ts';
import { named, timeOf } from './parts.ts';
import type { Voice } from './words.ts';

/** @param others for whom the visitor acts, with what waits for them */
export function waitingPage(
  voice: Voice,
  views: readonly ConsentView[],
  others: readonly { mandate: MandateView; views: readonly ConsentView[] }[],
): Body {
  const { words, language } = voice;
  const acting = MANDATE_WORDS[language];
  const groups = others.map(({ mandate: { id, kind, represented, purposes }, views: theirs }) => {
    const other = named(represented);
    return html`<section><h2>${acting.group(other, acting.as[kind])}</h2>
${theirs.length === 0 ? html`<p>${words.waitingNone}</p>` : waitingCards(voice, theirs, 3)}
${purposes !== null && html`<p class="hint">${acting.someOnly(other)}</p>`}
<p><a href="/for/${id}">${acting.back(other)}</a></p></section>
`;
  });
  return {
    title: words.waiting,
    content: html`${views.length === 0 ? html`<p>${words.waitingNone}</p>` : waitingCards(voice, views, 2)}
${groups}`,
  };
}

export function waitingCards(voice: Voice, views: readonly ConsentView[], level: 2 | 3): Html[] {
  const { words, language, marks } = voice;
  return views.map((view) => {
    const { id, client, purpose, requestedAtMs, expiresAtMs } = view;
    const what = html`${apart(client.name)}${marks.colon}${apart(purpose.title[language])}`;
    return html`<section class="card">${level === 2 ? html`<h2>${what}</h2>` : html`<h3>${what}</h3>`}
<p>${words.asked}${marks.colon}${timeOf(voice, requestedAtMs)}</p>
<p>${words.until}${marks.colon}${timeOf(voice, expiresAtMs)}</p>
<p><a class="button" href="${placeOf(view)}/requests/${id}">${words.open}<span class="visually-hidden"> ${client.name}${marks.colon}${purpose.title[language]}</span></a></p></section>
`;
  });
}

export interface Decision {
  csrf: string;
  /** Numbers of items, counted over all services in their order. */
  ticked: ReadonlySet<number>;
  /** Level of the sign-in. */
  level: number;
  /** The form was sent with nothing ticked. */
  isEmpty: boolean;
  /** Somebody agreed, but the sign-in for it was not finished. */
  isBack: boolean;
}

export function requestPage(voice: Voice, view: ConsentView, decision: Decision): Body {
  const { words, language } = voice;
  const { csrf, isEmpty, isBack, level } = decision;
  const needsMore = level < 4 && view.services.some(({ items }) => items.some((item) => item.level === 4));
  const content = html`${bannerOf(voice, view.actingFor)}${isEmpty && emptySummary(voice)}${isBack && html`<p class="box" role="status">${words.ticksKept}</p>`}
${termsOf(voice, view)}
<form method="post" action="${placeOf(view)}/requests/${view.id}">
${csrfField(csrf)}<input type="hidden" name="lang" value="${language}">
<h2 id="items">${words.items}</h2>
<p class="hint" id="items-hint">${words.itemsHint}</p>
${needsMore && html`<p class="hint">${words.stepUpHint}</p>`}
<div${isEmpty && html` class="wrong"`}>${isEmpty && html`<p class="error-text" id="items-error">${words.nothingTicked}</p>`}
${itemsOf(voice, view, decision)}</div>
<h2>${words.noticeTitle}</h2>
<p class="hint">${words.noticeHint}</p>
<div class="notice" dir="auto">${view.notice[language]}</div>
<p class="hint">${words.bindHint}</p>
${decisionButtons(voice, view)}
</form>`;
  const title = words.requestTitle(named(view.client.name), named(view.purpose.title[language]));
  return {
    title: `${title}${forWhom(voice, view)}`,
    content,
    isFaulty: isEmpty,
  };
}

/** Equal buttons; a representative refuses only what is within the mandate. */
function decisionButtons({ words, language }: Voice, { actingFor }: ConsentView): Html {
  const give = html`<button name="decision" value="give">${words.agree}</button>`;
  if (actingFor !== null && !actingFor.isWithin) {
    const why = MANDATE_WORDS[language].notRefusable(named(actingFor.represented));
    return html`<p class="hint">${why}</p>
<div class="buttons">${give}</div>`;
  }
  return html`<div class="buttons">${give}<button name="decision" value="refuse">${words.refuse}</button></div>`;
}

function emptySummary({ words }: Voice): Html {
  return html`<div class="box error" role="alert" aria-labelledby="problem" tabindex="-1" autofocus><h2 id="problem">${words.problemTitle}</h2>
<ul><li><a href="#item-0">${words.nothingTicked}</a></li></ul></div>`;
}

/** The terms of a request or a permission. */
function termsOf(voice: Voice, view: ConsentView): Html {
  const { words, language } = voice;
  const { client, purpose, reason, services, retentionDays, uses, frequency, validDays, validUntilMs, expiresAtMs } =
    view;
  const froms = services.map(
    ({ provider, title }) => html`<li>${apart(provider)}${voice.marks.colon}${apart(title)}</li>`,
  );
  const rows: (readonly [string, Html])[] = [
    [words.who, html`${apart(client.name)} <code>${client.id}</code>`],
    [words.why, html`<strong>${apart(purpose.title[language])}</strong><br>${apart(purpose.text[language])}`],
    ...(reason === null ? [] : [[words.reason, apart(reason[language])] as const]),
    [words.fromWhom, html`<ul>${froms}</ul>`],
    [words.howLongKept, html`${words.kept(retentionDays)}`],
    [words.howOften, html`${words.uses(uses, frequency)}`],
    [words.howLongValid, html`${words.validDays(validDays, voice.time(validUntilMs))}`],
    [words.refusal, html`${words.refusalText}`],
    [words.changeMind, html`${words.changeMindText(view.revocationBoundS)}`],
    [words.until, timeOf(voice, expiresAtMs)],
  ];
  return html`<dl>
${rows.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>`;
}

function itemsOf(voice: Voice, { services, actingFor }: ConsentView, decision: Decision): Html[] {
  let count = 0;
  return services.map(({ provider, title, items }) => {
    const first = count;
    count += items.length;
    const boxes = items.map((item, at) => {
      const choice = item.together === undefined ? [item] : items.filter(({ together }) => together === item.together);
      return choice[0] === item && choiceOf(voice, choice, first + at, decision, actingFor);
    });
    const described = decision.isEmpty ? 'items-hint items-error' : 'items-hint';
    return html`<fieldset aria-describedby="${described}"><legend>${voice.words.legend(named(provider), named(title))}</legend>
${boxes}</fieldset>
`;
  });
}

/** One box: an item, or all that are given only together. @param at number of the first */
function choiceOf(
  { words, language, marks }: Voice,
  choice: readonly AskedItem[],
  at: number,
  { ticked }: Decision,
  actingFor: ConsentView['actingFor'],
): Html {
  const level = choice.reduce<AskedItem['level']>((most, item) => (item.level > most ? item.level : most), 1);
  const isAbove = actingFor !== null && level > actingFor.maxLevel;
  const above = isAbove && html`<p>${MANDATE_WORDS[language].above(named(actingFor.represented))}</p>`;
  const label = new Intl.ListFormat(language, { type: 'conjunction' }).format(
    choice.map(({ labels }) => labels[language]),
  );
  const definitions = choice.map(
    ({ kind, labels, definition }) =>
      html`<p>${choice.length > 1 && html`${apart(labels[language])}${marks.colon}`}${apart(definition[language])}${kind === 'predicate' && html` ${words.answerOnly}`}</p>
`,
  );
  return html`<div class="item"><div class="tick"><input type="checkbox" name="item" value="${at}" id="item-${at}" aria-describedby="item-${at}-hint"${ticked.has(at) && !isAbove && html` checked`}${isAbove && html` disabled`}><label for="item-${at}">${apart(label)}</label></div>
<div class="hint" id="item-${at}-hint">${definitions}${choice.length > 1 && html`<p>${words.onlyTogether}</p>`}${above}</div>
<p class="hint">${words.levelLabel}${marks.colon}${words.level[level]}</p></div>
`;
}
