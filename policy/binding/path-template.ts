// Which OpenAPI path template covers a request's path. Literal segments go before templated ones, from left to right; a
// templated segment is one whole, non-empty segment. The path is the exact string that is authorised and forwarded: it
// is read here, never rewritten. Its segments may be spelled with escapes in two ways only where that cannot lead to
// another operation than the backend's router would take; else nothing matches. A parameter has no `;`: for some backends
// it would end there, and the request be about somebody else. The calling system controls the path, the service's author
// the templates.

interface Node<T> {
  literals: Map<string, { spelled: string; node: Node<T> }>;
  /** The same in lower case. */
  folded: Set<string>;
  templated: Node<T> | null;
  end: { names: readonly string[]; value: T } | null;
}

const PARAMETER = /^\{([^{}/]+)\}$/;

/** The name of a templated segment, null for a literal one. */
export function parameterOf(segment: string): string | null {
  return PARAMETER.exec(segment)?.[1] ?? null;
}

/** `/a/{b}` as `a`, `{b}`. */
export function segmentsOf(template: string): string[] {
  return template.slice(1).split('/');
}

export interface Matched<T> {
  value: T;
  /** Values of the templated segments, percent-decoded. */
  parameters: Record<string, string>;
}

export class PathTemplates<T> {
  readonly #root: Node<T> = node();

  /** The first of two templates of one shape stays; the compiler refuses the second. */
  add(template: string, value: T): void {
    let at = this.#root;
    const names: string[] = [];
    for (const segment of segmentsOf(template)) {
      const name = parameterOf(segment);
      if (name === null) {
        const spelled = encodeURI(segment.toWellFormed()).replaceAll('%25', '%');
        const text = decoded(spelled) ?? segment;
        const next = at.literals.get(text) ?? { spelled, node: node<T>() };
        at.literals.set(text, next);
        at.folded.add(text.toLowerCase());
        at = next.node;
      } else {
        names.push(name);
        at.templated ??= node<T>();
        at = at.templated;
      }
    }
    at.end ??= { names, value };
  }

  /**
   * @param path '' or '/...', as it is forwarded; '' is the service's root
   * @returns null where no template covers it, or two readings of it would lead to two operations
   */
  match(path: string): Matched<T> | null {
    if (path !== '' && !path.startsWith('/')) return null;
    const spelled = path.slice(1).split('/');
    const texts = spelled.map(decoded);
    const values: string[] = [];
    // Each node of the tree is reached by one way only, so that going back visits none twice.
    const visit = (at: Node<T>, index: number): Node<T>['end'] | 'two readings' => {
      const text = texts[index];
      if (index === texts.length) return at.end;
      if (text === null || text === undefined) return null;
      const literal = at.literals.get(text);
      if (literal !== undefined) {
        // `/%73earch` is the backend's `/search`, whatever template stands beside it.
        if (literal.spelled !== spelled[index]) return 'two readings';
        const found = visit(literal.node, index + 1);
        if (found !== null) return found;
      }
      if (at.templated === null || text === '' || /[/;]/.test(text)) return null;
      // Routers that do not mind case would take `/SEARCH` for the template's `/search`.
      if (literal === undefined && at.folded.has(text.toLowerCase())) return 'two readings';
      values.push(text);
      const found = visit(at.templated, index + 1);
      if (found === null) values.pop();
      return found;
    };
    const end = visit(this.#root, 0);
    if (end === null || end === 'two readings') return null;
    const parameters = Object.fromEntries(end.names.map((name, index) => [name, values[index] ?? '']));
    return { value: end.value, parameters };
  }
}

function node<T>(): Node<T> {
  return { literals: new Map(), folded: new Set(), templated: null, end: null };
}

/** Null when the escapes are not well-formed UTF-8. */
function decoded(segment: string): string | null {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
