// The consent service's own security server, as this service asks through it: ordinary exchanges on the reserved paths
// behind other departments' services (docs/protocol.md). The answer comes from that department's server; it was signed and
// logged on both sides, and is still text from outside.
import type { BoundedClient } from '#core/http/client.ts';
import { isJsonObject, type JsonValue, parseJson } from '#schemas/json.ts';
import { MAX_DEPARTMENT_ANSWER_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

/**
 * `answered`: with status 2xx, and a body that the caller checks. `refused`: the code says why, by the own server, by the
 * department's or on the way between them; nothing else of it is used.
 */
export type OwnAnswer = { kind: 'answered'; body: JsonValue } | { kind: 'refused'; code: string };

export interface OwnServer {
  /**
   * POST of `body` to a reserved path behind `service`, on the basis `open`.
   * @throws PEER_* when the own server does not answer in time, SCHEMA_MISMATCH and JSON_* when it answers rubbish
   */
  ask(service: string, path: string, body: JsonValue, timeoutMs: number): Promise<OwnAnswer>;
}

const CODE = /^[A-Z][A-Z0-9_]{1,63}$/;
const MIN_DEADLINE_MS = 100;
const ANSWER_LIMITS = { maxBytes: MAX_DEPARTMENT_ANSWER_BYTES, maxDepth: 12, maxValues: 200_000 };

/**
 * @param server origin of the own security server's port for plain HTTP, e.g. http://127.0.0.1:8080
 * @param self subsystem of the consent service
 */
export function openOwnServer(http: BoundedClient, server: string, self: string): OwnServer {
  return {
    async ask(service, path, body, timeoutMs) {
      const deadlineMs = Math.max(MIN_DEADLINE_MS, Math.floor(timeoutMs));
      const lookup = { client: self, service, method: 'POST', path, basis: 'open', body, deadlineMs };
      const answer = await http.request({
        method: 'POST',
        url: `${server}/lookups`,
        headers: [['content-type', 'application/json']],
        body: Buffer.from(JSON.stringify(lookup)),
        timeoutMs,
        maxResponseBytes: MAX_DEPARTMENT_ANSWER_BYTES,
      });
      const told = parseJson(answer.body, ANSWER_LIMITS);
      if (!isJsonObject(told)) throw new AccordError('SCHEMA_MISMATCH', 'the own server');
      const { status, code } = told;
      if (answer.status === 200 && typeof status === 'number' && status >= 200 && status < 300) {
        return { kind: 'answered', body: told['body'] ?? null };
      }
      const inner = isJsonObject(told['body']) ? told['body']['code'] : undefined;
      const why = [code, inner].find((one) => typeof one === 'string' && CODE.test(one) && one !== 'OK');
      return { kind: 'refused', code: typeof why === 'string' ? why : 'OUTCOME_UNKNOWN' };
    },
  };
}
