// What the benchmark asks for: records of a household's assistance, about one resident, on the basis of law, as one
// department asks another every day; and files without personal data, which alone may be large. Requests, answers and
// what the filter leaves of them are made here, so that backend, load and servers speak of the same bytes.
import type { DevMember } from '#cli/dev/network.ts';
import type { JsonObject } from '#schemas/json.ts';
import type { Purpose } from '#schemas/purpose.ts';

export const PROVIDER = {
  id: 'GX/GOV/1001',
  name: '民政局 Civil Affairs',
  subsystem: 'civil-affairs',
  server: 'ss-civil',
} as const satisfies DevMember;
export const CONSUMER = {
  id: 'GX/GOV/1004',
  name: '医保局 Medical Insurance',
  subsystem: 'medical-insurance',
  server: 'ss-medical',
} as const satisfies DevMember;

export const CLIENT = `${CONSUMER.id}/${CONSUMER.subsystem}`;
const service = (code: string) => `${PROVIDER.id}/${PROVIDER.subsystem}/${code}`;
/** Bound to the dictionary: one that only reads, and the same that writes. Free of personal data: files. */
export const SERVICES = { safe: service('assistance'), write: service('decisions'), files: service('files') };
export type ServiceName = keyof typeof SERVICES;

/** Bytes of each body, up and down. Up to 100k they are JSON of a bound service; larger ones exist only without binding. */
export const SIZES = {
  '1k': 1024,
  '2k': 2 * 1024,
  '10k': 10 * 1024,
  '100k': 100 * 1024,
  '2m': 2 * 1024 * 1024,
  '10m': 10 * 1024 * 1024,
} as const;
export type Size = keyof typeof SIZES;
export const isFile = (size: Size): boolean => SIZES[size] > SIZES['100k'];

const RESIDENTS = 64;
export const residents: readonly string[] = Array.from(
  { length: RESIDENTS },
  (_, index) => `4301021990010${String(1000 + index)}X`,
);

/** Path at the backend, whoever forwards it. */
export const pathOf = (size: Size, resident: string): string =>
  isFile(size) ? `/files/${size}` : `/residents/${resident}/assistance/${size}`;

/** What is asked for by its place; of a record the aid once given is bound too, but neither asked for nor allowed. */
export const ASKED: Readonly<Record<string, string>> = {
  name: 'gx.person.full_name@1',
  birthDate: 'gx.person.birth_date@1',
  address: 'gx.address.full@1',
  caseNumber: 'gx.assistance.case_number@1',
  receiving: 'gx.assistance.receiving_low_income_support@1',
  monthlyAmount: 'gx.assistance.monthly_amount@1',
  since: 'gx.assistance.since@1',
  recipients: 'gx.assistance.recipient_count@1',
};
const UNDELIVERED = { temporaryAid: 'gx.assistance.temporary_aid_amount@1' };
const SUBJECT = 'gx.person.resident_id@1';
/** Ids of all elements that the services speak of. */
export const ELEMENTS = new Set(
  [...Object.values({ ...ASKED, ...UNDELIVERED }), SUBJECT].map((element) => element.replace(/@.*/, '')),
);
const FORMS: Record<string, string> = {
  receiving: 'boolean',
  monthlyAmount: 'number',
  recipients: 'integer',
  temporaryAid: 'number',
};

export const FIELDS: readonly string[] = Object.keys(ASKED).map((name) => `/items/${name}`);
export const FORBIDDEN_FIELD = '/items/temporaryAid';
/** The stated grounds of every lookup. */
export const GROUNDS = { purpose: 'medical-assistance', basis: 'law', userId: 'clerk 12', issue: 'YB-2026-000417' };

const TITLE = { zh: '医疗救助', en: 'Medical assistance' };
export const PURPOSE: Purpose = {
  id: GROUNDS.purpose,
  version: 1,
  title: TITLE,
  text: { zh: '判断居民是否符合医疗救助条件。', en: 'To decide whether a resident is entitled to assistance.' },
  bases: ['law'],
  elements: Object.values(ASKED).sort(),
  retentionDays: 365,
  quotaPerDay: null,
  from: '2020-01-01',
  until: null,
};

/** The OpenAPI document of the bound services; its words x-accord-… bind it to the dictionary. */
export function description(name: ServiceName): JsonObject {
  const fields = Object.entries({ ...ASKED, ...UNDELIVERED }).map(([field, element]) => [
    field,
    {
      type: FORMS[field] ?? 'string',
      ...(/date$/i.test(field) || field === 'since' ? { format: 'date' } : {}),
      'x-accord-element': element,
    },
  ]);
  const record = { type: 'object', additionalProperties: false, properties: Object.fromEntries(fields) };
  const items = { type: 'array', maxItems: 1000, items: record };
  const schema = { type: 'object', additionalProperties: false, properties: { items } };
  const text = { type: 'string', maxLength: 32 };
  const subject = { name: 'resident', in: 'path', required: true, 'x-accord-subject': SUBJECT };
  const operation = {
    parameters: [
      { ...subject, schema: text },
      { name: 'size', in: 'path', required: true, schema: text },
    ],
    responses: { 200: { description: 'records', content: { 'application/json': { schema } } } },
  };
  return {
    openapi: '3.1.0',
    info: { title: name, version: '1.0.0', 'x-accord-jurisdiction': 'GX', 'x-accord-level': 3 },
    paths: { '/residents/{resident}/assistance/{size}': { post: operation } },
  } as JsonObject;
}

function recordsOf(size: Size, resident: string, whole: boolean): { items: object[] } {
  const number = Number(resident.slice(13, 17));
  const items: object[] = [];
  let bytes = '{"items":[]}'.length;
  for (let at = 0; ; at += 1) {
    const record = {
      name: '李小明',
      birthDate: '1990-01-01',
      address: `湖南省长沙市天心区中山路 ${number} 号 3 单元 ${100 + at} 室`,
      caseNumber: `MZ-2026-${String(100_000 + number + at)}`,
      receiving: at % 3 !== 0,
      monthlyAmount: 650.5 + at,
      since: '2024-03-01',
      recipients: 1 + (at % 5),
    };
    bytes += Buffer.byteLength(JSON.stringify(record)) + 1;
    if (bytes > SIZES[size] && at > 0) return { items };
    items.push(whole ? { ...record, temporaryAid: 1000.5 + at } : record);
  }
}

/** What the backend says, and what may leave of it. */
export const answerOf = (size: Size, resident: string): Buffer =>
  Buffer.from(JSON.stringify(recordsOf(size, resident, true)));
export const releasedOf = (size: Size, resident: string): { items: object[] } => recordsOf(size, resident, false);

/** The body of a request, exactly as long as its size says; a JSON object for bound services. */
export function requestOf(size: Size, resident: string): { resident: string; remarks: string } {
  const frame = { resident, remarks: '' };
  const left = SIZES[size] - Buffer.byteLength(JSON.stringify(frame));
  return { resident, remarks: 'treated as an in-patient; '.repeat(Math.ceil(left / 26)).slice(0, left) };
}

/** A file: bytes that look like nothing, the same in every process. */
export function fileOf(size: Size): Buffer {
  const bytes = Buffer.alloc(SIZES[size]);
  for (let at = 0, state = 1; at < bytes.length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}
