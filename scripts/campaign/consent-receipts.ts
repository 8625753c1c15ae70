// Makes the receipt that a case of campaign `consent` describes: real keys, real seals, and then whatever was done to it.
import { pseudonymOf } from '#certs/pseudonym.ts';
import { signReceipt } from '#certs/receipt.ts';
import { sealSubject } from '#certs/sealed-subject.ts';
import { newMessageId } from '#core/message-id.ts';
import type { Receipt } from '#schemas/receipt.ts';
import type { ConsentCase, ConsentTerms } from './consent-cases.ts';
import { FIELDS, ISSUERS, PURPOSES } from './consent-facts.ts';
import { forge, isForgery } from './consent-forgeries.ts';
import { purposeHash } from './consent-registrations.ts';
import type { ConsentSetting } from './consent-setting.ts';

const PLACE = { valid: 4, withdrawn: 5, suspended: 6, reserved: 7, nothing: 64_000 } as const;
const NO_WORDS = 'n'.repeat(42).concat('A');
let lists = 0;

/** The text, its number, and the list it names already served. */
export function mintReceipt(
  setting: ConsentSetting,
  one: ConsentCase,
  terms: ConsentTerms,
): { text: string; jti: string } {
  const receipt = receiptOf(setting, one, terms);
  const { keys } = setting;
  const kid = keys[terms.issuer].kid;
  const text = signReceipt(receipt, { kid, privateKey: keys[terms.signedBy].privateKey });
  if (terms.spoiled === null || !isForgery(terms.spoiled)) return { text, jti: receipt.jti };
  const issuer = ISSUERS.find((each) => each !== terms.issuer) ?? ISSUERS[0];
  const another = {
    ...terms,
    issuer,
    listOf: issuer,
    subject: `${terms.subject}1`,
    list: { ...terms.list, says: terms.list.says === 'valid' ? 'withdrawn' : 'valid' },
  } as const;
  const other = signReceipt(receiptOf(setting, one, another), keys[issuer]);
  return { text: forge(terms.spoiled, { text, other, stranger: keys.stranger }), jti: receipt.jti };
}

function receiptOf(setting: ConsentSetting, { nowMs }: ConsentCase, terms: ConsentTerms): Receipt {
  const { issuer, client, service, provider, purpose, version, fields, subject, scheme, spoiled } = terms;
  const jti = newMessageId(nowMs);
  const sealedFor = spoiled === 'sealed for another receipt' ? newMessageId(nowMs) : jti;
  const value = spoiled === 'a subject that leads elsewhere' ? `../residents/${subject}` : subject;
  const key = spoiled === 'sealed for another provider' ? setting.foreignSubjectKey : setting.subjectKey;
  const isKnown = version >= 1 && version <= PURPOSES[purpose].version;
  const hash = isKnown ? purposeHash(purpose, version) : NO_WORDS;
  return {
    ...{
      v: 1,
      iss: issuer,
      jti,
      iat: terms.fromS,
      nbf: terms.fromS,
      exp: terms.untilS,
      client,
      aud: provider,
      service,
    },
    purpose: { id: purpose, version: Math.max(1, version), hash },
    elements: fields.map((field) => FIELDS[field].element),
    sub: pseudonymOf(Buffer.alloc(32, 1), client, { scheme, value }),
    subject: [sealSubject({ jti: sealedFor, scheme, value }, key)],
    ...(terms.frequency !== null && { frequency: { uses: terms.frequency.uses, days: terms.frequency.days } }),
    ...{ uses: terms.uses, retentionDays: 30, notice: { hash: NO_WORDS, language: 'zh' } },
    signIn: { hash: NO_WORDS, record: 0, level: 2 },
    status: { uri: listOf(setting, terms), idx: PLACE[terms.list.says] },
  };
}

/** The young list of a consent service is one for all; every other one is for this case alone. */
function listOf(setting: ConsentSetting, { listOf: issuer, list }: ConsentTerms): string {
  const uri = `${setting.statusUrlOf(issuer)}/${list.is === 'young' ? 'young' : `only-${lists}`}`;
  if (list.is !== 'young') lists += 1;
  setting.serve(uri, list);
  return uri;
}
