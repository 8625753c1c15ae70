// Admin API: what OCSP answers mean to the members' servers, and which responders they ask. The rules are handed in as a
// whole; they count when two approvers signed a content that holds them, and they see each responder as a line of its own.
import { fileHash } from '#core/configuration/verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { OcspRules } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import type { AdminFrame, RegistryContext } from './admin-frame.ts';
import type { RegistryStore } from './store-sqlite.ts';

export function addOcspRoutes(frame: AdminFrame, { store }: RegistryContext): void {
  frame.read({
    method: 'GET',
    url: '/ocsp',
    summary: 'Rules for OCSP answers and their responders; null while none were set',
    permission: 'read',
    read: () => ({ ocsp: store.ocsp.get() ?? null }),
  });
  frame.change({
    method: 'POST',
    url: '/ocsp',
    summary: 'Set the rules for OCSP answers and their responders; replaces what was set before',
    permission: 'govern',
    body: OcspRules,
    change({ body }) {
      const rules = judgedRules(body, store);
      store.ocsp.put(rules);
      return { status: 201, body: { ocsp: rules }, target: `ocsp ${rules.mode}` };
    },
  });
}

/** One responder for each authority that is trusted, in order. @throws REGISTRATION_UNKNOWN, REGISTRATION_EXISTS */
function judgedRules(rules: OcspRules, store: RegistryStore): OcspRules {
  const { anchors, intermediates } = store.trust();
  const trusted = new Set([...anchors, ...intermediates].map((der) => fileHash(fromBase64url(der))));
  const responders = rules.responders.toSorted((a, b) => (a.issuer < b.issuer ? -1 : 1));
  for (const [at, { issuer }] of responders.entries()) {
    if (!trusted.has(issuer)) throw new AccordError('REGISTRATION_UNKNOWN', `${issuer} is no trusted authority`);
    if (responders[at - 1]?.issuer === issuer) throw new AccordError('REGISTRATION_EXISTS', `${issuer} twice`);
  }
  return { ...rules, responders };
}
