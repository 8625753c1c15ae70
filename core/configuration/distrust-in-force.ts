// Which statements of a distrust list count under a content and a root: the rules that stand at the head of distrust.ts.
// Pure. Asked by every client for every snapshot, and by the registry before it takes a statement.
import type { ContentConfiguration, RootConfiguration } from '#schemas/configuration.ts';
import { DISTRUST_PER_APPROVER, DISTRUST_PER_OWNER } from '#schemas/limits.ts';
import type { DistrustEntry, VerifiedDistrust } from './distrust.ts';
import type { ServerEntry } from './snapshot.ts';

/** What the rules need to know of the parts of the content. */
export interface DistrustFacts {
  /** The approved limit of the instance, if it has one. */
  perApprover: number | undefined;
  /** SHA-256 (base64url) of the certificates and public keys of the certification authorities. */
  authorities: ReadonlySet<string>;
  /** Servers that this is the id of, or a certificate hash or kid. */
  serversWith(value: string): readonly ServerEntry[];
  /** SHA-256 of the public keys (SPKI) of a server's registered signing certificates. */
  signingKeysOf(server: ServerEntry): readonly string[];
}

export interface DistrustState {
  entry: DistrustEntry;
  /** Why it does not count; `yes` when it does. */
  counts: 'yes' | 'lifted' | 'over-cap' | 'authority' | 'unproven' | 'not-the-owner';
}

/** Every statement of the list with its state, in order. */
export function distrustStates(
  list: VerifiedDistrust | undefined,
  content: Pick<ContentConfiguration, 'distrust' | 'distrustLifted'>,
  root: RootConfiguration,
  facts: DistrustFacts,
): DistrustState[] {
  const confirmed = content.distrust?.version ?? 0;
  const lifted = new Set(content.distrustLifted);
  const used = new Map<string, number>();
  const perApprover = facts.perApprover ?? DISTRUST_PER_APPROVER;
  return (list?.entries ?? []).map((entry, at) => {
    if (lifted.has(entry.hash)) return { entry, counts: 'lifted' };
    if (entry.ownKey !== null && !ownsWhatItNames(entry, facts)) return { entry, counts: 'not-the-owner' };
    if (at < confirmed) return { entry, counts: 'yes' };
    if (!entry.proven) return { entry, counts: 'unproven' };
    if (entry.ownKey === null && facts.authorities.has(entry.statement.value)) return { entry, counts: 'authority' };
    // A person counts once, whatever keys that person holds.
    const person = entry.ownKey ?? `approver ${root.keys[entry.by]?.person.trim().toLowerCase() ?? entry.by}`;
    const before = used.get(person) ?? 0;
    used.set(person, before + 1);
    return { entry, counts: before < (entry.ownKey === null ? perApprover : DISTRUST_PER_OWNER) ? 'yes' : 'over-cap' };
  });
}

function ownsWhatItNames({ statement, ownKey }: DistrustEntry, facts: DistrustFacts): boolean {
  const { kind, value } = statement;
  if (ownKey === null) return false;
  if (kind === 'key' && value === ownKey) return true;
  return facts.serversWith(value).some((server) => facts.signingKeysOf(server).includes(ownKey));
}
