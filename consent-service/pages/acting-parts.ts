// What pages say when one person decides for another: the banner above everything, who decided, who paused.
import type { ConsentView } from '#consent-service/consents.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import { MANDATE_WORDS } from './mandate-words.ts';
import { named } from './parts.ts';
import type { Voice } from './words.ts';

type Acting = Pick<ConsentView, 'actingFor'>;

/** Where the pages about this consent are, for the one who looks at it. */
export function placeOf({ actingFor }: Acting): string {
  return actingFor === null ? '' : `/for/${actingFor.mandate}`;
}

/** @param hasLink to everything for the same person */
export function bannerOf(
  voice: Voice,
  acting: NonNullable<ConsentView['decidedBy']> | null,
  hasLink = true,
): Html | null {
  if (acting === null) return null;
  const words = MANDATE_WORDS[voice.language];
  const { represented, representative, kind, mandate } = acting;
  return html`<div class="box acting"><p><strong>${words.banner(named(representative), named(represented), words.as[kind])}</strong></p>
<p>${words.bannerText(named(represented))}</p>
${hasLink && html`<p><a href="/for/${mandate}">${words.back(named(represented))}</a></p>`}</div>
`;
}

/** Who decided, where it was not the person; a row of the summary. */
export function decidedByRow(voice: Voice, { decidedBy }: ConsentView): readonly (readonly [string, Html])[] {
  if (decidedBy === null) return [];
  const words = MANDATE_WORDS[voice.language];
  const { represented, representative, kind } = decidedBy;
  return [[words.decidedBy, apart(words.decidedByName(named(representative), named(represented), words.as[kind]))]];
}

/** The state, with the name of whoever brought it about where that is not the one who looks. */
export function stateText(voice: Voice, { state, last, decidedBy, actingFor }: ConsentView): string {
  const words = MANDATE_WORDS[voice.language];
  const isPersons = state === 'GIVEN' || state === 'REFUSED' || state === 'SUSPENDED' || state === 'WITHDRAWN';
  if (isPersons && last.acting !== null) return words.by[state](named(last.acting.representative));
  if (isPersons && last.by === 'citizen' && actingFor !== null) return words.by[state](named(actingFor.represented));
  if (state === 'SUSPENDED' && last.by === 'service' && decidedBy !== null) {
    return words.pausedByService(named(decidedBy.representative), named(decidedBy.represented));
  }
  return voice.words.states[state];
}

/** What a representative cannot do with a permission, and why; null where nothing stands in the way. */
export function beyondOf(voice: Voice, { state, last, actingFor }: ConsentView): { all: boolean; why: string } | null {
  if (actingFor === null) return null;
  const words = MANDATE_WORDS[voice.language];
  const other = named(actingFor.represented);
  if (!actingFor.isWithin) return { all: true, why: words.notChangeable(other) };
  return state === 'SUSPENDED' && last.by === 'citizen' ? { all: false, why: words.onlyTheyResume(other) } : null;
}

/** For the title of a page about somebody else's request or permission. */
export function forWhom({ marks }: Voice, { actingFor }: ConsentView): string {
  return actingFor === null ? '' : `${marks.open}${named(actingFor.represented)}${marks.close}`;
}
