// One exchange over both servers: the verdict, what happened in order (own entries, and what the other side signed), what was
// checked, opening a record, exporting the pack. No personal data stands here. Texts in details may be the other side's.
import type { CheckState, PackCheck, PackVerdict } from '#core/evidence/check-run.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import { type Body, csrfField } from '#core/http/pages/frame.ts';
import type { TimeBounds } from '#core/witness/time-bounds.ts';
import { checkName, checkSaid, packCodeWords } from './check-words.ts';
import type { Examined, ExaminedEntry } from './examine.ts';
import { type Language, WORDS } from './language.ts';
import { problemWords } from './problem-page.ts';
import { outcome } from './search-page.ts';
import { detailWords } from './state-words.ts';
import { fact, long, time } from './times.ts';

export interface ExchangeView {
  id: string;
  examined: Examined;
  /** Ids of holds that keep it, as far as they name exchanges, classes or days. */
  holds: readonly string[];
  csrf: string;
  /** When it was looked at and checked. */
  nowMs: number;
  /** What is wrong with a form of this page that was sent. */
  fault: FormFault | null;
}

export interface FormFault {
  form: 'open' | 'export';
  field: 'reason' | 'confirm';
  /** The record that was to be opened. */
  seq: number | null;
  /** What was filled in, to stand there again. */
  filled: { reason: string; withContent: boolean; isConfirmed: boolean };
}

export function exchangePage(language: Language, view: ExchangeView): Body {
  const words = WORDS[language];
  const { id, examined, fault } = view;
  const { peer, peers, entries, origin } = examined;
  const [{ entry: first } = { entry: null }] = entries;
  const choice =
    peer === null &&
    html`<div class="box"><p>${words.several}</p><ul>${peers.map((one) => html`<li><a href="/auditor/exchange?${new URLSearchParams({ id, peer: one }).toString()}">${one}</a></li>`)}</ul></div>
`;
  const content = html`${fault && faultBox(language, fault)}<dl>
${fact(words.fields.id, long(id))}${fact(words.otherServer, peer && apart(peer))}${fact(words.client, first?.client ? apart(first.client) : null)}${fact(words.fields.service, first?.service ? apart(first.service) : null)}${fact(words.fields.purpose, first?.purpose ? apart(first.purpose) : null)}${fact(words.basis, basisOf(language, first?.basis ?? null))}${fact(words.origin, apart(origin))}${fact(words.holds, view.holds.length === 0 ? words.noHolds : view.holds.join(', '))}${fact(words.checkedAt, time(view.nowMs))}</dl>
${choice}${peer !== null && verdictBox(language, examined)}<h2>${words.timeline}</h2>
<ol class="steps">${stepsOf(language, view)}</ol>
${examined.verdict && checksOf(language, examined.verdict.checks)}${peer !== null && !NO_PACK.includes(examined.problem?.code ?? '') && exportForm(language, view, peer)}`;
  return { title: words.exchange, content, isFaulty: fault !== null };
}

function basisOf(language: Language, basis: string | null): Html | null {
  const { bases } = WORDS[language];
  const known = (['open', 'law', 'consent', 'emergency'] as const).find((one) => one === basis);
  return basis === null ? null : html`${known !== undefined && `${bases[known]} `}<code>${basis}</code>`;
}

function faultBox(language: Language, { form, field, seq }: FormFault): Html {
  const words = WORDS[language];
  const text = field === 'reason' ? words.reasonFault : words.exportConfirmFault;
  return html`<div class="box error" role="alert"><p><a href="#${fieldId(form, field, seq)}">${text}</a></p></div>
`;
}

function fieldId(form: 'open' | 'export', field: string, seq: number | null): string {
  return `${form}-${field}${seq === null ? '' : `-${seq}`}`;
}

/** There is nothing here to make a pack of. */
const NO_PACK: readonly string[] = ['EXCHANGE_NOT_FOUND', 'RECORD_ARCHIVED'];

/** Missing of every exchange at first. */
const OF_ANCHORING: readonly string[] = [
  'CHECKPOINT_MISSING',
  'AGGREGATE_MISSING',
  'QUORUM_MISSING',
  'TIME_STAMP_MISSING',
];

const LOOKS = { VALID: 'good', 'COMMITMENT-ONLY': 'good', INCOMPLETE: '', INVALID: 'bad' } as const;

function verdictBox(language: Language, { verdict, problem }: Examined): Html {
  const words = WORDS[language];
  if (verdict === null) {
    const { title, next, foreign } = problemWords(language, problem?.code ?? 'INTERNAL');
    // There are entries, or this page would not be shown: only none with a request, of which a pack is made.
    const told =
      problem?.code === 'EXCHANGE_NOT_FOUND'
        ? html`<p>${words.noRequest}</p>`
        : html`<p${foreign}>${title}${words.stop}${next}</p>`;
    return html`<div class="box error"><p class="said">${words.noVerdict}</p>${told}<p><code>${problem?.code ?? ''}</code> ${problem?.detail ?? ''}</p></div>
`;
  }
  return html`<div class="box ${LOOKS[verdict.verdict]}"><p class="said">${words.verdict}${words.colon}${verdict.verdict}</p><p>${words.verdicts[verdict.verdict]}</p>
${reasonOf(language, verdict)}<p class="hint">${words.verdictNote}</p></div>
`;
}

function reasonOf(language: Language, { code }: PackVerdict): Html | null {
  if (code === null) return null;
  const hint = OF_ANCHORING.includes(code) && html`<p>${WORDS[language].notYet}</p>`;
  return html`<p>${packCodeWords(code, language)} <code>${code}</code></p>${hint}`;
}

interface Step {
  atMs: number;
  html: Html;
}

/** Of one time, what the other side signed before we received it. */
function stepsOf(language: Language, view: ExchangeView): Html[] {
  const steps: Step[] = view.examined.entries.flatMap((one) => {
    const own = { atMs: one.entry.t, html: ownStep(language, view, one) };
    return one.entry.kind.endsWith('-received') && one.statement !== null
      ? [{ atMs: one.statement.at, html: otherStep(language, one.statement) }, own]
      : [own];
  });
  return steps.toSorted((a, b) => a.atMs - b.atMs).map((step) => step.html);
}

function otherStep(
  language: Language,
  { kind, from, at, log, configuration }: NonNullable<ExaminedEntry['statement']>,
): Html {
  const words = WORDS[language];
  const said =
    kind === 'request'
      ? words.otherRequestSigned
      : kind === 'settlement'
        ? words.otherSettlementSigned
        : words.otherAnswerSigned;
  return html`<li class="other"><p>${time(at)}</p><h3>${said}</h3><p class="hint">${words.signedByOther(from)} · ${words.byItsClock}</p>
<dl>${log !== undefined && fact(words.otherLog, apart(words.otherLogPlace(log.origin, log.index)))}${fact(words.configuration, configuration.version)}</dl></li>
`;
}

function ownStep(language: Language, view: ExchangeView, one: ExaminedEntry): Html {
  const words = WORDS[language];
  const { entry, kept, certificateStatus, bounds, statement } = one;
  const isReceived = entry.kind.endsWith('-received');
  const status = certificateStatus === null ? words.noCertificateStatus : outcome(certificateStatus, language);
  return html`<li><p>${time(entry.t)}</p><h3>${words.kinds[entry.kind]}${entry.code !== null && html`${words.colon}${outcome(entry.code, language)}`}</h3>
<p class="hint">${words.ownEntry} · ${words.entry} ${entry.seq}</p>
<dl>
${!isReceived && statement !== null && fact(words.signedAt, time(statement.at))}${boundsOf(language, bounds)}${one.time !== 'within' && html`<div class="wrong"><dt></dt><dd>${words.times[one.time]}</dd></div>`}${isReceived && fact(words.certificateStatus, status)}${fact(words.kept, words.keptStates[kept])}${fact(words.retention, html`<code>${entry.retention}</code>`)}${fact(words.configuration, entry.configuration)}${entry.decisionHash !== null && fact(words.decisionHash, long(entry.decisionHash))}</dl>
${kept === 'open' && openForm(language, view, entry.seq)}</li>
`;
}

function boundsOf(language: Language, { notBefore, notAfter }: TimeBounds): Html {
  const words = WORDS[language];
  const said = (bound: TimeBounds['notBefore']) =>
    bound === null ? words.noBound : html`${time(bound.atMs)}${words.bySeq(bound.anchoredSeq)}`;
  return html`${fact(words.notBefore, said(notBefore))}${fact(words.notAfter, said(notAfter))}`;
}

function openForm(language: Language, { id, csrf, fault }: ExchangeView, seq: number): Html {
  const words = WORDS[language];
  const isWrong = fault?.form === 'open' && fault.seq === seq;
  const [field, summary] = [fieldId('open', 'reason', seq), words.openRecord(seq)];
  return html`<details${isWrong && html` open`}><summary>${summary}</summary>
<form method="post" action="/auditor/record">${csrfField(csrf)}<input type="hidden" name="id" value="${id}"><input type="hidden" name="seq" value="${seq}">
<p class="hint" id="${field}-hint">${words.openHint}</p>
<div class="field${isWrong && ' wrong'}"><label for="${field}">${words.reason}</label>${isWrong && html`<span class="error-text" id="${field}-fault">${words.reasonFault}</span>`}
<input id="${field}" name="reason" required minlength="3" maxlength="200" autocomplete="off" aria-describedby="${field}-hint${isWrong && ` ${field}-fault`}"${isWrong && html` value="${fault.filled.reason}" aria-invalid="true"`}></div>
<p><button>${words.doOpen}</button></p></form></details>
`;
}

const STATES: Readonly<Record<CheckState, string>> = {
  ok: ' good',
  FAILED: ' bad',
  MISSING: ' bad',
  DESTROYED: ' good',
  'NOT CHECKED': '',
};

function checksOf(language: Language, checks: readonly PackCheck[]): Html {
  const words = WORDS[language];
  const rows = checks.map(({ number, name, state, code, detail }) => {
    const { text, foreign } = state === 'ok' ? checkSaid(name, detail, language) : { text: '', foreign: detail };
    const why = code !== null && html`${packCodeWords(code, language)} <code>${code}</code>`;
    return html`<li><span class="number">${number}</span><span>${checkName(name, language)}</span><span class="state${STATES[state]}">${words.states[state]}</span><span class="more">${text}${why}${foreign !== '' && html` ${detailWords(foreign, language)}`}</span></li>
`;
  });
  return html`<h2>${words.checks}</h2>
<p class="hint">${words.checksNote}</p>
<ol class="checks">${rows}</ol>
`;
}

function exportForm(language: Language, { id, csrf, fault }: ExchangeView, peer: string): Html {
  const words = WORDS[language];
  const [noReason, noConfirm] = (['reason', 'confirm'] as const).map(
    (field) => fault?.form === 'export' && fault.field === field,
  );
  const [reason, confirm] = [fieldId('export', 'reason', null), fieldId('export', 'confirm', null)];
  const filled = fault?.form === 'export' ? fault.filled : null;
  const choice = (value: string, text: string) =>
    html`<div class="tick"><input type="radio" id="content-${value}" name="content" value="${value}"${(value === 'with') === (filled?.withContent ?? false) && html` checked`}><label for="content-${value}">${text}</label></div>
`;
  return html`<section class="screen"><h2>${words.exportTitle}</h2>
<p>${words.exportHint} ${words.exportNoted}</p>
<form method="post" action="/auditor/export">${csrfField(csrf)}<input type="hidden" name="id" value="${id}"><input type="hidden" name="peer" value="${peer}">
<fieldset><legend>${words.kept}</legend>
${choice('without', words.exportWithout)}${choice('with', words.exportWith)}</fieldset>
<div class="tick${noConfirm === true && ' wrong'}"><input type="checkbox" id="${confirm}" name="confirm" value="yes"${filled?.isConfirmed === true && html` checked`}${noConfirm === true && html` aria-invalid="true" aria-describedby="${confirm}-fault"`}><label for="${confirm}">${words.exportConfirm}</label></div>
${noConfirm === true && html`<span class="error-text" id="${confirm}-fault">${words.exportConfirmFault}</span>`}<div class="field${noReason === true && ' wrong'}"><label for="${reason}">${words.reason}</label>${noReason === true && html`<span class="error-text" id="${reason}-fault">${words.reasonFault}</span>`}
<input id="${reason}" name="reason" required minlength="3" maxlength="200" autocomplete="off" value="${filled?.reason ?? ''}"${noReason === true && html` aria-invalid="true" aria-describedby="${reason}-fault"`}></div>
<p><button>${words.doExport}</button></p></form></section>
`;
}
