// What a citizen agrees to, as one text (DESIGN: who may ask for what, Consent: an ID token whose nonce was the hash of
// notice and terms). The citizen's own identity provider signs the hash of it, so that nobody can say later that somebody
// signed in for something else. Everything in it stands in the record too: who has the ID token can compare the two.
import { sha256 } from '#certs/commitment.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import type { AskedConsent, GivenConsent } from '#schemas/consent.ts';
import type { JsonValue } from '#schemas/json.ts';

/** Both a record's terms and the view of a consent have these. */
type AgreedTerms = Pick<
  AskedConsent,
  'client' | 'purpose' | 'uses' | 'frequency' | 'validDays' | 'retentionDays' | 'notice'
> & {
  services: readonly { service: string; items: readonly { element: string }[] }[];
};

export interface Agreement {
  consent: string;
  terms: AgreedTerms;
  given: readonly { service: string; element: string }[];
  /** Of the notice that was shown. */
  language: 'zh' | 'en';
}

/**
 * Nonce of the sign-in for this decision: SHA-256 (base64url) of the one spelling of consent, terms, items, notice and language.
 * Without a frequency its member is absent, as in decisions of before.
 * What was not asked for is not in it; the order in which items were chosen does not matter.
 */
export function agreementNonce({ consent, terms, given, language }: Agreement): string {
  const { client, purpose, uses, frequency, validDays, retentionDays, notice, services } = terms;
  const text = canonicalJson({
    v: 1,
    consent,
    client: client.id,
    purpose: { id: purpose.id, version: purpose.version, hash: purpose.hash },
    ...{ uses, validDays, retentionDays, language },
    ...(frequency != null && { frequency }),
    notice: sha256(notice[language]),
    given: givenOf(services, given),
  } as unknown as JsonValue);
  return sha256(text);
}

/** Service by service in the order in which it was asked. */
function givenOf(services: AgreedTerms['services'], given: Agreement['given']): GivenConsent['given'] {
  const wanted = new Set(given.map(({ service, element }) => `${service} ${element}`));
  return services.flatMap(({ service, items }) => {
    const elements = items.map(({ element }) => element).filter((element) => wanted.has(`${service} ${element}`));
    return elements.length === 0 ? [] : [{ service, elements }];
  });
}
