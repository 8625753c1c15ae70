// Reporting an error in a value that somebody was told: the form, what became of the report, and the card that shows it
// later. What a department says about it is text from outside.
import type { NoAnswer } from '#consent-service/departments.ts';
import type { KnownWords } from '#consent-service/known-words.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import { type Body, csrfField } from '#core/http/pages/frame.ts';
import type { Access } from '#schemas/accesses.ts';
import type { DoubtStatus } from '#schemas/doubt.ts';
import { timeOf } from './parts.ts';
import type { Voice } from './words.ts';

/** What a cookie of the browser has room for, with three bytes a character. */
export const MAX_PROPOSED_CHARS = 200;
export const MAX_NOTE_CHARS = 500;

export interface DoubtForm {
  csrf: string;
  element: string | null;
  proposed: string;
  note: string;
  /** The form was sent without an item. */
  isEmpty: boolean;
}

export function doubtPage(voice: Voice, known: KnownWords, access: Access, form: DoubtForm): Body {
  const { words, language } = voice;
  const { doubt, looked } = words;
  const items = access.items.map(
    (
      ref,
      at,
    ) => html`<div class="tick"><input type="radio" name="element" value="${ref}" id="item-${at}"${form.element === ref && html` checked`}><label for="item-${at}">${apart(known.item(ref)[language])}</label></div>
`,
  );
  const content = html`${form.isEmpty && emptySummary(voice)}<p>${doubt.text}</p>
<dl><div><dt>${looked.when}</dt><dd>${timeOf(voice, access.atMs)}</dd></div>
<div><dt>${looked.who}</dt><dd>${apart(known.member(access.client))}</dd></div>
<div><dt>${looked.from}</dt><dd>${apart(known.provider(access.service))}${voice.marks.colon}${apart(known.service(access.service))}</dd></div></dl>
<form method="post" action="/accesses/${access.exchange}/doubt">${csrfField(form.csrf)}
<fieldset${form.isEmpty && html` class="wrong" aria-describedby="element-error"`}><legend>${doubt.item}</legend>
${form.isEmpty && html`<p class="error-text" id="element-error">${doubt.chooseItem}</p>`}${items}</fieldset>
<p><label for="proposed">${doubt.proposed}</label></p><p class="hint" id="proposed-hint">${doubt.proposedHint(MAX_PROPOSED_CHARS)}</p>
<input type="text" class="field" name="proposed" id="proposed" maxlength="${MAX_PROPOSED_CHARS}" value="${form.proposed}" aria-describedby="proposed-hint" autocomplete="off">
<p><label for="note">${doubt.note}</label></p><p class="hint" id="note-hint">${doubt.noteHint(MAX_NOTE_CHARS)}</p>
<textarea class="field" name="note" id="note" maxlength="${MAX_NOTE_CHARS}" rows="5" cols="40" aria-describedby="note-hint">
${form.note}</textarea>
<p>${doubt.why}</p>
<div class="buttons"><button>${doubt.send}</button></div></form>
<p><a href="/accesses">${doubt.toAccesses}</a></p>`;
  return { title: doubt.title, content, isFaulty: form.isEmpty };
}

function emptySummary({ words }: Voice): Html {
  return html`<div class="box error" role="alert" aria-labelledby="problem" tabindex="-1" autofocus><h2 id="problem">${words.problemTitle}</h2>
<ul><li><a href="#item-0">${words.doubt.chooseItem}</a></li></ul></div>
`;
}

export function reportedPage(voice: Voice, known: KnownWords, told: DoubtStatus | NoAnswer): Body {
  const { doubt, code: codeWord, looked } = voice.words;
  const back = html`<p><a href="/accesses">${doubt.toAccesses}</a></p>`;
  if (!('why' in told)) {
    const content = html`<p class="box" role="status">${doubt.sent}</p>
${doubtCard(voice, known, told, 2)}
${back}`;
    return { title: doubt.sentTitle, content };
  }
  const said = told.why === 'away' ? doubt.unsure : `${doubt.notSent} ${looked[told.why]}`;
  const content = html`<div class="box error" role="alert"><p>${said}</p>
<p>${codeWord}: <code>${told.code}</code></p></div>
${back}`;
  return { title: doubt.sentTitle, content, isFaulty: true };
}

/** @param level of its heading */
export function doubtCard(voice: Voice, known: KnownWords, doubt: DoubtStatus, level: 2 | 3): Html {
  const { words, language } = voice;
  const { id, service, element, state, note, createdAtMs, changedAtMs, exchange } = doubt;
  const label = apart(known.item(element)[language]);
  const rows: (readonly [string, Html])[] = [
    [words.doubt.status, html`<span class="state">${words.doubt.states[state]}</span>`],
    [words.looked.from, html`${apart(known.provider(service))}${voice.marks.colon}${apart(known.service(service))}`],
    ...(note === null ? [] : [[words.doubt.answer, apart(note)] as const]),
    [words.doubt.reported, timeOf(voice, createdAtMs)],
    ...(changedAtMs === createdAtMs ? [] : [[words.doubt.changed, timeOf(voice, changedAtMs)] as const]),
    [words.looked.number, html`<code>${exchange}</code>`],
    [words.doubt.number, html`<code>${id}</code>`],
  ];
  return html`<section class="card">${level === 2 ? html`<h2>${label}</h2>` : html`<h3>${label}</h3>`}
<dl>
${rows.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl></section>
`;
}
