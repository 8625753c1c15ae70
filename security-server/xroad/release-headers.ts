// What the provider's server says about an answer of a bound service, for callers in X-Road's protocol: the signed release
// lies in the evidence, these headers tell what the body cannot show. Only who asked for predicates, or said
// `Prefer: accord-partial`, ever sees one; the answer otherwise has the headers of the protocol and no more.
import type { AnswerContext } from '#schemas/context.ts';

/** Many callers take 8 KiB of headers at most. */
const MAX_LISTED_BYTES = 4096;

/**
 * `Accord-Predicates: ELEMENT=RESULT,…` and, when something was left out, `Preference-Applied` (RFC 7240) with
 * `Accord-Omitted: PATH,…`, the segments of a path percent-encoded.
 */
export function releaseHeaders({ release }: AnswerContext): [string, string][] {
  if (release === null) return [];
  const { predicates, omitted } = release;
  const results = predicates.map(({ predicate, result }) => `${predicate}=${result}`);
  const paths = omitted.map(({ path, element }) => path?.split('/').map(encodeURIComponent).join('/') ?? element);
  return [
    ...(results.length === 0 ? [] : ([['Accord-Predicates', listed(results)]] as [string, string][])),
    ...(paths.length === 0
      ? []
      : ([
          ['Preference-Applied', 'accord-partial'],
          ['Accord-Omitted', listed(paths)],
        ] as [string, string][])),
  ];
}

/** Joined by commas; what does not fit is counted: `a,b,+3`. */
function listed(items: readonly string[]): string {
  let text = '';
  for (const [at, item] of items.entries()) {
    if (text.length + item.length > MAX_LISTED_BYTES) return `${text}+${items.length - at}`;
    text += at === items.length - 1 ? item : `${item},`;
  }
  return text;
}
