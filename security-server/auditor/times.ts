// Times, ids and names as the auditor's pages write them.
import { type Html, html } from '#core/http/html.ts';

/** `2026-11-23 14:05:09.123 UTC` */
export function timeText(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, -1).replace('T', ' ')} UTC`;
}

export function time(atMs: number): Html {
  return html`<time datetime="${new Date(atMs).toISOString()}">${timeText(atMs)}</time>`;
}

/** An id, a hash or a key: broken where the line ends, whatever stands there; a hash has hyphens of its own. */
export function long(text: Html | string): Html {
  return html`<code class="long">${text}</code>`;
}

/** Name and value in a list `dl`; nothing without a value. */
export function fact(name: string, value: Html | string | number | null): Html | null {
  return value === null || value === ''
    ? null
    : html`<div><dt>${name}</dt><dd>${value}</dd></div>
`;
}
