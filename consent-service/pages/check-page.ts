// Whether a receipt is genuine and counts now, in plain words: for anybody who holds its text, and for the citizen it is of.
import type { CheckedReceipt } from '#consent-service/check-receipt.ts';
import type { KnownWords } from '#consent-service/known-words.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import type { Body } from '#core/http/pages/frame.ts';
import { MAX_RECEIPT_BYTES } from '#schemas/limits.ts';
import type { Receipt } from '#schemas/receipt.ts';
import { named, timeOf } from './parts.ts';
import type { Voice } from './words.ts';

export interface CheckView {
  /** Null before anything was sent. */
  checked: CheckedReceipt | 'empty' | null;
  known: KnownWords;
  nowMs: number;
}

export function checkPage(voice: Voice, { checked, known, nowMs }: CheckView): Body {
  const { words } = voice;
  const { checking } = words;
  const isEmpty = checked === 'empty';
  const content = html`${isEmpty && emptySummary(voice)}${checked !== null && checked !== 'empty' && resultOf(voice, known, checked, nowMs)}<p>${checking.text}</p>
<form method="post" action="/verify">
<p><label for="receipt">${checking.label}</label></p>
<p class="hint" id="receipt-hint">${checking.hint}</p>
${isEmpty && html`<p class="error-text" id="receipt-error">${checking.empty}</p>`}
<textarea class="field" name="receipt" id="receipt" rows="8" cols="40" maxlength="${MAX_RECEIPT_BYTES}" aria-describedby="receipt-hint${isEmpty && ' receipt-error'}" spellcheck="false" autocomplete="off"></textarea>
<div class="buttons"><button>${checking.button}</button></div></form>`;
  return { title: words.check, content, isFaulty: isEmpty };
}

function emptySummary({ words }: Voice): Html {
  return html`<div class="box error" role="alert" aria-labelledby="problem" tabindex="-1" autofocus><h2 id="problem">${words.problemTitle}</h2>
<ul><li><a href="#receipt">${words.checking.empty}</a></li></ul></div>
`;
}

function resultOf(voice: Voice, known: KnownWords, checked: CheckedReceipt, nowMs: number): Html {
  const verdict = verdictOf(voice, checked, nowMs, 2);
  return checked.kind === 'genuine'
    ? html`<div class="box" role="status">${verdict}</div>
${saidBy(voice, known, checked)}
`
    : html`<div class="box error" role="alert">${verdict}</div>
`;
}

/** @param level of the heading */
export function verdictOf(voice: Voice, checked: CheckedReceipt, nowMs: number, level: 2 | 3): Html {
  const { checking } = voice.words;
  const [title, text] =
    checked.kind === 'genuine'
      ? [checking.genuine, checking.standings[checked.standing]]
      : checked.kind === 'unreadable'
        ? [checking.unreadable, checking.unreadableText]
        : [checking.notGenuine, checking[checked.why]];
  return html`${level === 2 ? html`<h2>${title}</h2>` : html`<h3>${title}</h3>`}
<p>${text}</p><p class="hint">${checking.now} ${timeOf(voice, nowMs)}</p>`;
}

/** What a genuine receipt says; nothing is added but the names of what it names. */
function saidBy(voice: Voice, known: KnownWords, { receipt, hash }: { receipt: Receipt; hash: string }): Html {
  const { words, language } = voice;
  const { client, service, purpose } = receipt;
  const says = words.checking.says(named(known.member(client)), named(known.provider(service)));
  const items = receipt.elements.map((ref) => html`<li>${apart(known.item(ref)[language])} <code>${ref}</code></li>`);
  const rows: (readonly [string, Html])[] = [
    [words.elements, html`<ul>${items}</ul>`],
    [words.mayAsk, html`${apart(known.member(client))} <code>${client}</code>`],
    [
      words.answers,
      html`${apart(known.provider(service))}${voice.marks.colon}${apart(known.service(service))} <code>${service}</code>`,
    ],
    [
      words.checking.saysWhy,
      html`${apart(known.purposeByHash(purpose.hash, purpose.id)[language])} <code>${purpose.id} ${purpose.version}</code>`,
    ],
    [words.issued, timeOf(voice, receipt.iat * 1000)],
    [words.validUntil, timeOf(voice, receipt.exp * 1000)],
    [words.howOften, html`${words.uses(receipt.uses, receipt.frequency ?? null)}`],
    [words.retention, html`${words.kept(receipt.retentionDays)}`],
    [words.issuer, html`<code>${receipt.iss}</code>`],
    [words.receiptNumber, html`<code>${receipt.jti}</code>`],
    [words.receiptHash, html`<code>${hash}</code>`],
    [words.statusList, html`<code>${receipt.status.uri}</code> ${receipt.status.idx}`],
  ];
  return html`<p>${says}</p>
<dl>
${rows.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>`;
}
