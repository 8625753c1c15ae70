// Who may act for a citizen, for whom a citizen may act, and the form that asks somebody; the page of everything that waits
// or was decided for one represented person. Names come from citizens and registers and pass through as text.
import type { ConsentView } from '#consent-service/consents.ts';
import type { Mandates, MandateView } from '#consent-service/mandates.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import { type Body, csrfField } from '#core/http/pages/frame.ts';
import { MAX_CITIZEN_MANDATE_LEVEL } from '#schemas/limits.ts';
import { bannerOf } from './acting-parts.ts';
import type { OfferFault, TypedOffer } from './mandate-form.ts';
import { MANDATE_WORDS } from './mandate-words.ts';
import { named, timeOf } from './parts.ts';
import { permissionsPage } from './permission-pages.ts';
import { waitingCards } from './request-page.ts';
import type { Voice } from './words.ts';

type Role = 'represented' | 'representative';

export function mandatesPage(
  voice: Voice,
  { forMe, byMe }: { forMe: readonly MandateView[]; byMe: readonly MandateView[] },
  csrf: string,
): Body {
  const words = MANDATE_WORDS[voice.language];
  const section = (name: string, none: string, all: readonly MandateView[], role: Role) => {
    const [open, ended] = [all.filter(({ state }) => state !== 'ENDED'), all.filter(({ state }) => state === 'ENDED')];
    return html`<section><h2>${name}</h2>
${open.length === 0 ? html`<p>${none}</p>` : open.map((one) => cardOf(voice, one, role, csrf))}
${ended.length > 0 && html`<details><summary>${words.endedNote} (${ended.length})<span class="visually-hidden">: ${name}</span></summary>${ended.map((one) => cardOf(voice, one, role, csrf))}</details>`}</section>
`;
  };
  const content = html`<p>${words.text}</p>
${section(words.forMe, words.forMeNone, forMe, 'represented')}
<p><a class="button" href="/mandates/offer">${words.offer}</a></p>
${section(words.byMe, words.byMeNone, byMe, 'representative')}`;
  return { title: words.title, content };
}

function cardOf(voice: Voice, view: MandateView, role: Role, csrf: string): Html {
  const words = MANDATE_WORDS[voice.language];
  const { kind, register, purposes, maxLevel, notBeforeMs, validUntilMs, majorityOn } = view;
  const titles = purposes?.map(({ id, title }) => html`<li>${apart(title?.[voice.language] ?? id)}</li>`);
  const rows: (readonly [string, Html])[] = [
    [words.state, html`<span class="state">${stateOf(voice, view)}</span>`],
    [words.kind, html`${words.kinds[kind]}`],
    ...(register === null
      ? []
      : [[words.register, html`${apart(register.name)} <code>${register.id}</code>`] as const]),
    [words.purposes, titles === undefined ? html`${words.allPurposes}` : html`<ul>${titles}</ul>`],
    [words.level, html`${voice.words.level[maxLevel]}`],
    [words.from, timeOf(voice, notBeforeMs)],
    [words.until, timeOf(voice, validUntilMs)],
    ...(majorityOn === null
      ? []
      : [[words.majority, html`<time datetime="${majorityOn}">${majorityOn}</time>`] as const]),
  ];
  return html`<div class="card"><h3>${headingOf(voice, view)}</h3>
<dl>
${rows.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>
${view.state !== 'ENDED' && stepsOf(voice, view, role, csrf)}</div>
`;
}

function headingOf(voice: Voice, { represented, representative }: MandateView): Html {
  return apart(MANDATE_WORDS[voice.language].actsFor(named(representative), named(represented)));
}

function stateOf(voice: Voice, { state, reason, isActive, answerUntilMs }: MandateView): string {
  const words = MANDATE_WORDS[voice.language];
  if (state === 'OFFERED') return words.offered(voice.time(answerUntilMs ?? 0));
  if (state === 'ENDED') return words.ended[reason ?? 'expired'];
  return isActive ? words.active : words.begins;
}

function stepsOf(voice: Voice, view: MandateView, role: Role, csrf: string): Html {
  const words = MANDATE_WORDS[voice.language];
  const { id, state, kind, isActive, represented, representative } = view;
  const about = html`<span class="visually-hidden">: ${words.actsFor(named(representative), named(represented))}</span>`;
  const button = (step: string, name: string) =>
    html`<form method="post" action="/mandates/${id}/${step}">${csrfField(csrf)}<button>${name}${about}</button></form>`;
  const other = named(represented);
  if (role === 'representative' && state === 'OFFERED') {
    return html`<p>${words.acceptText(other)}</p><p class="hint">${words.acceptHint(other)}</p>
<div class="buttons">${button('accept', words.accept)}${button('decline', words.decline)}</div>`;
  }
  const link = role === 'representative' && isActive && html`<p><a href="/for/${id}">${words.open(other)}</a></p>`;
  if (kind !== 'citizen')
    return html`${link}<p class="hint">${words.registersOnly}</p><p class="hint">${words.endPauses}</p>`;
  return html`${link}<p class="hint">${words.endStays}</p>
<div class="buttons">${button('end', words.end)}</div>`;
}

/** Everything for one represented person. */
export function forPage(
  voice: Voice,
  view: MandateView,
  waiting: readonly ConsentView[],
  decided: readonly ConsentView[],
  csrf: string,
): Body {
  const words = MANDATE_WORDS[voice.language];
  const other = named(view.represented);
  const permissions =
    decided.length === 0 ? html`<p>${voice.words.permissionsNone}</p>` : permissionsPage(voice, decided, csrf).content;
  const content = html`${bannerOf(voice, { mandate: view.id, kind: view.kind, represented: view.represented, representative: view.representative }, false)}
<h2>${words.waiting}</h2>
${waiting.length === 0 ? html`<p>${voice.words.waitingNone}</p>` : waitingCards(voice, waiting, 3)}
${view.purposes !== null && html`<p class="hint">${words.someOnly(other)}</p>`}
${decided.length === 0 && html`<h2>${words.permissions}</h2>`}
${permissions}`;
  return { title: words.forTitle(other), content };
}

export function offerPage(
  voice: Voice,
  choices: ReturnType<Mandates['choices']>,
  { fields, purposes }: TypedOffer,
  faults: readonly OfferFault[],
  csrf: string,
): Body {
  const { language, words: general } = voice;
  const words = MANDATE_WORDS[language];
  const wrong = (fault: OfferFault, id: string) =>
    faults.includes(fault) && html`<p class="error-text" id="${id}-error">${words.wrong[fault]}</p>`;
  const described = (fault: OfferFault, id: string) =>
    faults.includes(fault) && html` aria-invalid="true" aria-describedby="${id}-error"`;
  const text = (name: 'name' | 'theirName' | 'value' | 'days', label: string, fault: OfferFault, more: Html | null) =>
    html`<div class="field"><label for="${name}">${label}</label>
${more}${wrong(fault, name)}<input type="text" id="${name}" name="${name}" value="${fields[name]}" required autocomplete="off"${described(fault, name)}></div>
`;
  const option = (value: string, label: string, chosen: string) =>
    html`<option value="${value}"${value === chosen && html` selected`}>${label}</option>`;
  const levels = Array.from({ length: MAX_CITIZEN_MANDATE_LEVEL }, (_, at) => at + 1) as (1 | 2 | 3)[];
  const ticks = choices.purposes.map(
    ({ id, title }, at) =>
      html`<div class="tick"><input type="checkbox" name="purpose" value="${id}" id="purpose-${at}"${purposes.includes(id) && html` checked`}><label for="purpose-${at}">${apart(title[language])}</label></div>
`,
  );
  const radio = (value: 'all' | 'some', label: string) =>
    html`<div class="tick"><input type="radio" name="which" value="${value}" id="which-${value}"${fields.which === value && html` checked`}><label for="which-${value}">${label}</label></div>
`;
  const content = html`${faults.length > 0 && summaryOf(voice, faults)}<p>${words.offerText}</p>
<form method="post" action="/mandates/offer">
${csrfField(csrf)}${text('name', words.myName, 'name', null)}${text('theirName', words.theirName, 'name', null)}
<div class="field"><label for="scheme">${words.scheme}</label>
<select id="scheme" name="scheme">${choices.schemes.map(({ ref, label }) => option(ref, label[language], fields.scheme))}</select></div>
${text(
  'value',
  words.value,
  'value',
  html`<p class="hint">${words.valueHint}</p>
`,
)}<fieldset${described('purposes', 'which')}><legend id="which">${words.which}</legend>
${wrong('purposes', 'which')}${radio('all', words.whichAll)}${radio('some', words.whichSome)}${ticks}</fieldset>
<div class="field"><label for="level">${words.level}</label>
<p class="hint" id="level-hint">${words.levelHint}</p>
<select id="level" name="level" aria-describedby="level-hint">${levels.map((level) => option(String(level), general.level[level], fields.level))}</select></div>
${text('days', words.days, 'days', null)}<div class="buttons"><button>${words.send}</button></div>
</form>
<p><a href="/mandates">${general.back}</a></p>`;
  return { title: words.offerTitle, content, isFaulty: faults.length > 0 };
}

const PLACES = { name: 'name', value: 'value', purposes: 'which', days: 'days' } as const satisfies Record<
  OfferFault,
  string
>;

function summaryOf({ words, language }: Voice, faults: readonly OfferFault[]): Html {
  const links = faults.map(
    (fault) => html`<li><a href="#${PLACES[fault]}">${MANDATE_WORDS[language].wrong[fault]}</a></li>`,
  );
  return html`<div class="box error" role="alert" aria-labelledby="problem" tabindex="-1" autofocus><h2 id="problem">${words.problemTitle}</h2>
<ul>${links}</ul></div>`;
}
