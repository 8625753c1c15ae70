// What was kept of one record, opened because an auditor asked for it and said why. It names persons; it is never stored by a
// browser, and every byte of it is shown as text. Whoever sent the message controls it.
import { sha256 } from '#certs/commitment.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import type { Body } from '#core/http/pages/frame.ts';
import type { SealedParts } from '#core/log/sealed-record.ts';
import { MAX_AUDITOR_SHOWN_BYTES } from '#schemas/limits.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { type Language, WORDS } from './language.ts';
import { fact, long, time } from './times.ts';

export function recordPage(language: Language, entry: LogEntry, parts: SealedParts | null, by: string): Body {
  const words = WORDS[language];
  const query = new URLSearchParams({ id: entry.id, ...(entry.peer === null ? {} : { peer: entry.peer }) }).toString();
  const content = html`<p class="box">${apart(words.recordNoted(by))}</p>
<dl>${fact(words.fields.id, long(entry.id))}${fact(words.entry, `${entry.seq} · ${words.kinds[entry.kind]}`)}${fact(words.writtenAt, time(entry.t))}</dl>
${parts === null ? html`<p>${words.nothingKept}</p>` : html`${part(language, words.context, parts.context)}${part(language, words.body, parts.body)}${part(language, words.decisionInputs, parts.decisionInputs)}`}<p><a class="button" href="/auditor/exchange?${query}">${words.back}</a></p>
`;
  return { title: words.openTitle, content };
}

function part(language: Language, name: string, bytes: Buffer | undefined): Html | null {
  if (bytes === undefined) return null;
  const words = WORDS[language];
  const text = textOf(bytes.subarray(0, MAX_AUDITOR_SHOWN_BYTES));
  const isCut = bytes.length > MAX_AUDITOR_SHOWN_BYTES;
  return html`<h2>${name}</h2>
<p class="hint">${words.bytes(bytes.length)} · ${words.sha256}${words.colon}${long(sha256(bytes))}</p>
${text === null ? html`<p>${words.binary}</p>` : html`<pre tabindex="0" role="region" aria-label="${name}"><bdi>${text}</bdi></pre>`}
${isCut && html`<p class="hint">${words.cut(MAX_AUDITOR_SHOWN_BYTES)}</p>`}`;
}

/** JSON on several lines, other text as it is; null for bytes that are none. Characters that could hide others are shown. */
function textOf(bytes: Buffer): string | null {
  // A character that the limit cut in two may stand at the end.
  const text = new TextDecoder('utf-8').decode(bytes).replace(/\ufffd{1,3}$/, '');
  if (text.includes('\ufffd') || text.includes('\0')) return null;
  return visible(indented(text));
}

function indented(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    const again = JSON.stringify(value, null, 2);
    // Only where nothing is lost by it: numbers that JavaScript would round stay as they were sent.
    return JSON.stringify(value) === text ? again : text;
  } catch {
    return text;
  }
}

function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (one) =>
    one === '\n' || one === '\t'
      ? one
      : `\u27e8U+${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}\u27e9`,
  );
}
