// HTML as a tagged template: whatever is put in is escaped, but for other pieces made here. Names, reasons and titles come
// from departments and pass through it as text; attributes are always written in double quotes.

/** A piece of HTML; only this file makes one. */
export class Html {
  readonly #text: string;

  constructor(key: typeof KEY, text: string) {
    if (key !== KEY) throw new TypeError('pieces of HTML are made by html`…`');
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

const KEY = Symbol('html');

type Part = Html | string | number | null | false | readonly Part[];

/** null and false put in nothing. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(KEY, texts.map((text, at) => text + written(parts[at] ?? null)).join(''));
}

/** HTML that another file of this program made and escaped. */
export function escapedElsewhere(text: string): Html {
  return new Html(KEY, text);
}

/** Text from outside that must not turn the direction of what stands around it (UAX 9, isolates). */
export function apart(text: string): Html {
  return html`<bdi>${text}</bdi>`;
}

function written(part: Part): string {
  if (part === null || part === false) return '';
  if (part instanceof Html) return part.toString();
  if (typeof part === 'object') return part.map(written).join('');
  return String(part).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}
