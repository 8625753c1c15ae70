// What departments' servers would answer a citizen, for the pages in a real browser: every kind of access once, one
// department that does not answer. How real servers answer is tested elsewhere.
import type { OwnAnswer } from '#consent-service/own-server.ts';
import { ACCESSES_PATH, type Access, CITIZEN_DOUBTS_PATH, RECEIPT_USES_PATH } from '#schemas/accesses.ts';
import type { JsonValue } from '#schemas/json.ts';
import { CIVIL, CLIENT } from './desk.ts';

const idOf = (at: number) => `01a20578-9002-718c-81f6-${String(at).padStart(12, '0')}`;
export const [LAW, EMERGENCY] = [idOf(1), idOf(2)] as [string, string];

const PLAIN: Access = {
  exchange: LAW,
  atMs: Date.parse('2026-11-20T02:14:00Z'),
  client: CLIENT,
  service: CIVIL,
  operation: 'GET /persons/{id}',
  purpose: 'social-aid',
  basis: 'law',
  outcome: 'answered',
  code: 'OK',
  asked: ['gx.person.full_name@1', 'gx.address.registered_full@1'],
  items: ['gx.person.full_name@1', 'gx.address.registered_full@1'],
  issue: 'LS-2026-000731',
  unit: '社会救助科',
  emergency: null,
  receipt: null,
  isOwn: false,
};

const reason = '海甸岛水浸，须联系独居老人的家属并安排转移。';

const ACCESSES: Access[] = [
  { ...PLAIN, exchange: EMERGENCY, basis: 'emergency', emergency: { id: idOf(9), reason }, issue: null },
  PLAIN,
  { ...PLAIN, exchange: idOf(3), basis: 'consent', receipt: idOf(8), unit: null, issue: null },
  { ...PLAIN, exchange: idOf(4), outcome: 'refused', code: 'CONSENT_REQUIRED', items: [], unit: null, issue: null },
  {
    ...PLAIN,
    exchange: idOf(5),
    basis: 'open',
    purpose: null,
    isOwn: true,
    asked: [],
    items: [],
    unit: null,
    issue: null,
  },
];

const doubtOf = (exchange: string, element: string) => ({
  ...{ id: idOf(7), service: CIVIL, exchange, element, state: 'rejected', createdAtMs: PLAIN.atMs },
  ...{ note: '已与户籍档案核对，登记无误。', changedAtMs: PLAIN.atMs },
});

/** CIVIL's department answers, no other. */
export function answerOf(service: string, path: string, body: JsonValue): OwnAnswer {
  if (service !== CIVIL) return { kind: 'refused', code: 'PEER_TIMEOUT' };
  const { question } = body as { question?: { exchange: string; element: string } };
  const told: Record<string, object> = {
    [ACCESSES_PATH]: { v: 1, accesses: ACCESSES, hasMore: false, doubts: [doubtOf(LAW, 'gx.person.full_name@1')] },
    [CITIZEN_DOUBTS_PATH]: { ...doubtOf(question?.exchange ?? '', question?.element ?? ''), state: 'open', note: null },
    [RECEIPT_USES_PATH]: { v: 1, uses: [] },
  };
  return { kind: 'answered', body: (told[path] ?? null) as JsonValue };
}
