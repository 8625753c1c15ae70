// The periodic entry of the message log that says what was refused before its signature was verified (DESIGN 2): such
// messages have no record of their own, because whoever reaches the port could then fill the log. One entry for each
// code; its id is `unverified-<UTC minute>-<count>`, so that an auditor reads when and how many.
import { MAX_SUMMARY_CODES } from '#schemas/limits.ts';
import type { ConsumerParts } from './server-parts.ts';

/** Writes what was counted since the last call; counts that could not be written are counted again. */
export async function writeSummary(
  parts: Pick<ConsumerParts, 'metrics' | 'clock' | 'configuration' | 'log'>,
): Promise<void> {
  const counted = Object.entries(parts.metrics.takeUnverified()).sort(([, a], [, b]) => b - a);
  if (counted.length === 0) return;
  const named = counted.slice(0, MAX_SUMMARY_CODES);
  const rest = counted.slice(MAX_SUMMARY_CODES).reduce((sum, [, count]) => sum + count, 0);
  if (rest > 0) named.push(['OTHER', rest]);
  const minute = new Date(parts.clock.nowMs()).toISOString().slice(0, 16);
  const { version } = parts.configuration.current();
  const nothing = { peer: null, client: null, service: null, purpose: null, basis: null, decisionHash: null };
  const written = await Promise.allSettled(
    named.map(([code, count]) =>
      parts.log.append({
        ...nothing,
        kind: 'summary',
        id: `unverified-${minute}Z-${count}`,
        code,
        configurationVersion: version,
        retention: 'standard',
        evidence: null,
        sealed: null,
      }),
    ),
  );
  for (const [at, one] of written.entries()) {
    const [code, count] = named[at] ?? ['OTHER', 0];
    if (one.status === 'rejected') parts.metrics.giveBackUnverified(code, count);
  }
}
