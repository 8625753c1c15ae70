// The OCSP responder of a throw-away authority, for `accord dev up` and the demonstration, and the rules that name it.
import type { FastifyBaseLogger } from 'fastify';
import { certificateHash } from '#certs/path.ts';
import { addressOf } from '#core/http/server-frame.ts';
import { openOcspResponder } from '#core/ocsp-responder.ts';
import type { OcspRules } from '#schemas/configuration.ts';
import type { ThrowAwayAuthority } from './throw-away-authority.ts';

const HOUR_MS = 3_600_000;

export interface DevelopmentResponder {
  url: string;
  /** For `POST /ocsp` of the registry. */
  rules: OcspRules;
  close(): Promise<void>;
}

export async function openDevelopmentResponder(
  authority: ThrowAwayAuthority,
  logger: FastifyBaseLogger,
): Promise<DevelopmentResponder> {
  const app = openOcspResponder({ answer: (request) => authority.ocsp(request, HOUR_MS), logger });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const url = `${addressOf(app, 'http')}/`;
  const responders = authority.trust.intermediates.map((der) => ({ issuer: certificateHash(der), url }));
  const rules = { mode: 'prefer' as const, responders, namedInCertificate: false };
  return {
    url,
    rules: { ...rules, freshnessMs: 24 * HOUR_MS, graceMs: 4 * HOUR_MS },
    close: () => app.close(),
  };
}
