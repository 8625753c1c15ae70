// The four departments of the demonstration and the consent office: who they are, what they offer, and whom they allow what.

import type { DevMember } from '#cli/dev/network.ts';
import { type AccessRight, PLAIN_TERMS } from '#schemas/access-right.ts';
import type { Purpose } from '#schemas/purpose.ts';
import type { Department } from './tables.ts';

export const INSTANCE = 'GX';

export const MEMBERS: Record<Department, DevMember & { title: string; service: string }> = {
  'civil-affairs': {
    id: 'GX/GOV/1001',
    name: '民政局 Civil Affairs',
    title: 'Civil Affairs',
    subsystem: 'civil-affairs',
    server: 'ss-civil',
    service: 'residents',
  },
  tax: {
    id: 'GX/GOV/1002',
    name: '税务局 Tax Office',
    title: 'Tax Office',
    subsystem: 'tax',
    server: 'ss-tax',
    service: 'income',
  },
  housing: {
    id: 'GX/GOV/1003',
    name: '住房局 Housing',
    title: 'Housing',
    subsystem: 'housing',
    server: 'ss-housing',
    service: 'registrations',
  },
  'medical-insurance': {
    id: 'GX/GOV/1004',
    name: '医保局 Medical Insurance',
    title: 'Medical Insurance',
    subsystem: 'medical-insurance',
    server: 'ss-medical',
    service: 'enrolments',
  },
};

/** A member like the others, whose subsystem is the consent service (docs/consent.md). */
export const CONSENT_OFFICE = {
  id: 'GX/GOV/3003',
  name: '授权服务中心 Consent Office',
  subsystem: 'consent',
  server: 'ss-consent',
} as const satisfies DevMember;
export const CONSENT_SUBSYSTEM = `${CONSENT_OFFICE.id}/${CONSENT_OFFICE.subsystem}`;
/** Where departments file their requests. */
export const CONSENT_REQUESTS = `${CONSENT_SUBSYSTEM}/requests`;

export function subsystemOf(department: Department): string {
  const { id, subsystem } = MEMBERS[department];
  return `${id}/${subsystem}`;
}

export function serviceOf(department: Department): string {
  return `${subsystemOf(department)}/${MEMBERS[department].service}`;
}

type Grant = Omit<AccessRight, 'id' | 'pins'>;

const PLAIN = { ...PLAIN_TERMS, bases: ['law'], quotaPerDay: 10_000 } satisfies Partial<Grant>;

function grant(consumer: Department, provider: Department, path: string, over: Partial<Grant>): Grant {
  const [client, service] = [subsystemOf(consumer), serviceOf(provider)];
  return { ...PLAIN, client, service, endpoints: [{ method: 'GET', path }], ...over };
}

const SOCIAL_ASSISTANCE = '社会救助暂行办法 (Interim Measures for Social Assistance)';
const MEDICAL = { purposes: ['medical-assistance'], casePattern: 'YB-####-######' };
const REVIEW = { purposes: ['low-income-review'], casePattern: 'MZ-####-######' };
const SUBSIDY = { bases: ['consent' as const], purposes: ['rent-subsidy'] };

/**
 * By provider; `elements` is the most that may ever leave. Medical Insurance is given two predicates and none of what they
 * look at; Housing is given nothing that the citizen has not consented to. That is the point of some steps.
 */
export const GRANTS: { provider: Department; right: Grant }[] = [
  {
    provider: 'civil-affairs',
    right: grant('medical-insurance', 'civil-affairs', '/residents/*/low-income-support', {
      ...MEDICAL,
      elements: [
        'gx.assistance.receiving_low_income_support@1',
        'gx.assistance.monthly_amount@1',
        'gx.assistance.since@1',
      ],
      statute: `${SOCIAL_ASSISTANCE}, art. 28`,
    }),
  },
  {
    provider: 'civil-affairs',
    right: grant('medical-insurance', 'civil-affairs', '/residents/*', {
      ...MEDICAL,
      elements: ['gx.pred.age_ge_18@1'],
      statute: `${SOCIAL_ASSISTANCE}, art. 28`,
    }),
  },
  {
    provider: 'tax',
    right: grant('medical-insurance', 'tax', '/residents/*/annual-income', {
      ...MEDICAL,
      elements: ['gx.pred.is_low_income@1'],
      statute: `${SOCIAL_ASSISTANCE}, art. 28`,
    }),
  },
  {
    provider: 'tax',
    right: grant('civil-affairs', 'tax', '/residents/*/annual-income', {
      ...REVIEW,
      elements: ['gx.tax.assessment_year@1', 'gx.tax.gross_income@1', 'gx.tax.currency@1'],
      statute: `${SOCIAL_ASSISTANCE}, art. 58`,
    }),
  },
  {
    provider: 'medical-insurance',
    right: grant('civil-affairs', 'medical-insurance', '/residents/*/enrolment', {
      ...REVIEW,
      elements: ['gx.medical.status@1', 'gx.medical.scheme@1'],
      statute: `${SOCIAL_ASSISTANCE}, art. 58`,
    }),
  },
  {
    provider: 'civil-affairs',
    right: grant('housing', 'civil-affairs', '/residents/*', {
      ...SUBSIDY,
      elements: ['gx.address.full@1', 'gx.person.birth_date@1'],
    }),
  },
  {
    provider: 'tax',
    right: grant('housing', 'tax', '/residents/*/annual-income', { ...SUBSIDY, elements: ['gx.pred.is_low_income@1'] }),
  },
  {
    provider: 'civil-affairs',
    right: grant('medical-insurance', 'civil-affairs', '/residents/*', {
      bases: ['emergency'],
      purposes: ['emergency-care'],
      elements: ['gx.address.full@1'],
    }),
  },
];

/** Filing a request tells nobody anything about the citizen: no personal data, free to ask. */
export const FILING_RIGHT: Grant = {
  ...PLAIN,
  client: subsystemOf('housing'),
  service: CONSENT_REQUESTS,
  endpoints: [
    { method: '*', path: '/requests' },
    { method: '*', path: '/requests/**' },
  ],
  bases: ['open'],
};

function purpose(id: string, title: Purpose['title'], text: Purpose['text']): Purpose {
  const rights = GRANTS.map(({ right }) => right).filter(({ purposes }) => purposes.includes(id));
  const elements = [...new Set(rights.flatMap((right) => right.elements ?? []))].sort();
  const bounds = {
    bases: [...new Set(rights.flatMap((right) => right.bases))],
    elements,
    retentionDays: 365,
    quotaPerDay: null,
    from: '2020-01-01',
    until: null,
  };
  return { id, version: 1, title, text, ...bounds };
}

/** What all of it is for, in words that two approvers and every citizen can read. */
export const PURPOSES: Purpose[] = [
  purpose(
    'medical-assistance',
    { zh: '医疗救助', en: 'Medical assistance' },
    {
      zh: '判断居民是否符合医疗救助条件，并确定救助标准。',
      en: 'To decide whether a resident is entitled to medical assistance, and to how much of it.',
    },
  ),
  purpose(
    'low-income-review',
    { zh: '低收入复核', en: 'Review of low-income support' },
    {
      zh: '定期复核领取最低生活保障的家庭是否仍符合条件。',
      en: 'To review whether a household that receives low-income support is still entitled to it.',
    },
  ),
  purpose(
    'rent-subsidy',
    { zh: '租房补贴', en: 'Rent subsidy' },
    {
      zh: '判断居民是否符合租房补贴条件。不同意的，可以自行提交纸质证明。',
      en: 'To decide whether a resident is entitled to a rent subsidy. Without it, papers can be handed in instead.',
    },
  ),
  purpose(
    'emergency-care',
    { zh: '紧急救治', en: 'Emergency care' },
    {
      zh: '救治无法表达意愿的患者，并通知其家人。',
      en: 'To treat a patient who cannot say anything, and to reach the family.',
    },
  ),
];
