// What officials had signed when a request was decided, in a sentence or two for an auditor. The archive's owner controls
// the values; names of officials stand in the sealed record only.
import type { DecisionInputs } from '#policy/decision-inputs.ts';

/** Empty where neither basis nor delay nor lock calls for a word. */
export function evidenceInWords({ request, evidence = null, lockedFor = null }: DecisionInputs): string {
  const said = evidence === null ? '' : request.basis === 'emergency' ? emergency(evidence) : official(evidence);
  const delay = (request.hiddenUntil ?? null) === null ? '' : `Not shown to the citizen before ${request.hiddenUntil}.`;
  const lock = lockedFor === null ? '' : `The review of the emergency ${lockedFor} was overdue.`;
  return [said, delay, lock].filter((each) => each !== '').join('\n');
}

type Evidence = NonNullable<DecisionInputs['evidence']>;

function official({ given, official: found, usedBefore }: Evidence): string {
  if (given === 0) return "No token: the official and the case stand on the word of the department's server.";
  if (found === null) return `${tokens(given)}, not genuine or not for this request at this time.`;
  return `Signed for this request by ${found.id} (${found.unit})${usedBefore ? ', in a token that was used before' : ''}.`;
}

function emergency({ given, emergency: found }: Evidence): string {
  if (given === 0) return 'No emergency was named.';
  if (found === null) return `${tokens(given)}, not an emergency of two people of two units of this department.`;
  const [opened, confirmed] = found.officials.map(({ id, unit }) => `${id} (${unit})`);
  const at = (ms: number) => new Date(ms).toISOString();
  return [
    `Emergency ${found.id}, opened by ${opened}, confirmed by ${confirmed}: ${found.reason}`,
    `From ${at(found.fromMs)} until ${at(found.untilMs)}, for ${found.purpose} at ${found.services.join(', ')}.`,
    `For ${found.persons} persons; ${found.otherPersons} others had been asked about.`,
  ].join('\n');
}

function tokens(given: number): string {
  return given === 1 ? 'One token' : `${given} tokens`;
}
