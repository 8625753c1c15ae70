// The short form of campaign `consent`, and once with each of several worse providers put in.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { CONSENT_CODES, consent } from '#scripts/campaign/consent.ts';
import type { BrokenConsent } from '#scripts/campaign/consent-ask.ts';
import { FIELDS } from '#scripts/campaign/consent-facts.ts';
import type { OpenedConsent } from '#security-server/provider/consent.ts';
import { prepare } from '#security-server/provider/judge.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const SEED = 20;

t.test('consent: what was consented to leaves, and nothing else', async (t) => {
  const { size, failures, found, ...counts } = await consent.run({ size: 400, seed: SEED });
  t.equal(size, 400);
  t.equal(failures, 0, found.join('\n'));
  t.match(counts, { wronglyReleased: 0, wronglyRefused: 0, toldApart: 0, overServers: 8 });
  t.ok(Number(counts['released']) > 100, `released ${counts['released']}`);
  t.ok(Number(counts['foreign']) > 100, `foreign ${counts['foreign']}`);
  const told = counts['codes'] as Record<string, number>;
  for (const code of CONSENT_CODES) t.ok((told[code] ?? 0) > 0, `${code} ${told[code]}`);
});

t.test('every reason against a consent is in the list', async (t) => {
  const rules = readFileSync('policy/check-consent.ts', 'utf8');
  const codes = new Set([...rules.matchAll(/\bno\('([A-Z_]+)'/g)].map(([, code]) => code));
  // A provider with several servers stands in several-servers.test.ts and consent.test.ts; the campaign has one.
  t.same([...codes].sort(), [...CONSENT_CODES, 'CONSENT_USES_NOT_COUNTED'].sort());
});

type Genuine = NonNullable<OpenedConsent['genuine']>;

/** The real steps, after which something is changed in what they found genuine. */
function withReceipt(change: (receipt: Genuine['receipt']) => Partial<Genuine['receipt']>): BrokenConsent {
  return {
    async prepare(...asked) {
      const prepared = await prepare(...asked);
      const { consent } = prepared;
      if (!consent?.genuine) return prepared;
      const { receipt } = consent.genuine;
      const genuine = { ...consent.genuine, receipt: { ...receipt, ...change(receipt) } };
      return { ...prepared, consent: { ...consent, genuine } };
    },
  };
}

/** The real lists, of which something else is said. */
function withStatus(change: (status: { status: number; listIatMs: number }) => object): BrokenConsent {
  const server = (parts: ServerParts): ServerParts => ({
    ...parts,
    status: {
      ...parts.status,
      statusOf(uri, idx) {
        const found = parts.status.statusOf(uri, idx);
        return found && { ...found, ...change(found) };
      },
      refresh: (uri) => parts.status.refresh(uri),
      trustedNowMs: () => parts.status.trustedNowMs(),
    },
  });
  return { server };
}

/** The real state, which counts otherwise within the days of a frequency. */
function withWindow(change: (state: ServerParts['state']) => Partial<ServerParts['state']>): BrokenConsent {
  return { server: (parts) => ({ ...parts, state: { ...parts.state, ...change(parts.state) } }) };
}

/** Each with a seed from which on a case or two meet it soon. */
const WORSE: readonly [string, number, 'wronglyReleased' | 'toldApart', BrokenConsent][] = [
  [
    'takes any person for the one of the receipt',
    SEED + 206,
    'wronglyReleased',
    {
      prepare: (server, snapshot, statement, context, body) =>
        prepare(server, snapshot, statement, { ...context, path: '/residents/~subject' }, body),
    },
  ],
  [
    'lets everything leave once there is a consent',
    SEED + 10,
    'wronglyReleased',
    withReceipt(() => ({ elements: Object.values(FIELDS).map(({ element }) => element) })),
  ],
  ['does not read what the list says', SEED + 91, 'wronglyReleased', withStatus(() => ({ status: 0 }))],
  [
    'does not ask how old the list is',
    SEED + 53,
    'wronglyReleased',
    withStatus(() => ({ listIatMs: Number.MAX_SAFE_INTEGER })),
  ],
  ['counts no uses', SEED + 15, 'wronglyReleased', { countUses: () => () => {} }],
  [
    'reads no frequency',
    SEED + 90,
    'wronglyReleased',
    withReceipt(({ frequency }) => (frequency === undefined ? {} : { frequency: { ...frequency, uses: 10_000 } })),
  ],
  [
    'lets a window end a millisecond early',
    SEED + 155,
    'wronglyReleased',
    withWindow((state) => ({ usedInWindow: (receipt, atMs) => state.usedInWindow(receipt, atMs + 1) })),
  ],
  ['keeps no time of a use', SEED + 90, 'wronglyReleased', withWindow(() => ({ countInWindow: () => {} }))],
  [
    'says when a receipt is not for it',
    SEED,
    'toldApart',
    {
      async prepare(...asked) {
        const prepared = await prepare(...asked);
        const { consent } = prepared;
        if (!consent || consent.genuine || asked[3].receipt === 'no.receipt.at-all') return prepared;
        return { ...prepared, consent: { ...consent, facts: { ...consent.facts, given: false } } };
      },
    },
  ],
];

t.test('consent finds worse providers', async (t) => {
  for (const [name, seed, finding, broken] of WORSE) {
    const { failures, found, ...counts } = await consent.run({ size: 20, seed, broken });
    t.ok(failures > 0 && Number(counts[finding]) > 0, `${name}: ${found[0]}`);
  }
});
