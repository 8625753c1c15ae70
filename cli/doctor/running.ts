// The running server as others meet it: what it says of itself at /readyz, and whether peers reach the registered
// address and find this server's certificate there.
import { createHash } from 'node:crypto';
import { openClient } from '#core/http/client.ts';
import { isJsonObject, parseJson } from '#schemas/json.ts';
import { isAccordError, isProblemCode } from '#schemas/problems.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const TIMEOUT_MS = 5_000;

/** @param origin of the health port */
export async function checkReady(origin: string): Promise<Finding[]> {
  const client = openClient({ timeoutMs: TIMEOUT_MS });
  try {
    const { status, body } = await client.request({ method: 'GET', url: new URL('/readyz', origin).href });
    const answer = parseJson(body);
    const checks = isJsonObject(answer) && Array.isArray(answer['checks']) ? answer['checks'] : [];
    const failed = checks.filter(isJsonObject).filter((one) => one['ok'] !== true);
    if (status === 200 && checks.length > 0) return [ok('running', `${origin} is ready: ${checks.length} probes`)];
    if (failed.length === 0) return [fail('running', 'SERVER_NOT_RUNNING', `${origin} answered ${status}`)];
    return failed.map((one) => {
      const code = String(one['code']);
      return fail(`running: ${one['name']}`, isProblemCode(code) ? code : 'INTERNAL', String(one['detail']));
    });
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return [fail('running', 'SERVER_NOT_RUNNING', `${origin}: ${error.code}`)];
  } finally {
    await client.close();
  }
}

/**
 * A TLS handshake as a peer makes it. The server ends the conversation afterwards, because no registered certificate is
 * shown; that it was there and who it is, is known by then.
 * @param hash of this server's own TLS certificate, base64url
 */
export async function checkPeerPort(address: string, hash: string): Promise<Finding[]> {
  const check = 'peer port';
  const client = openClient({ timeoutMs: TIMEOUT_MS });
  const shown: string[] = [];
  const tls = {
    checkPeerCertificate: (der: Buffer) => {
      shown.push(createHash('sha256').update(der).digest('base64url'));
      return shown.at(-1) === hash;
    },
  };
  try {
    await client.request({ method: 'GET', origin: address, path: '/', tls });
    return [ok(check, `${address} shows this server's certificate`)];
  } catch (error) {
    if (!isAccordError(error)) throw error;
    if (shown.includes(hash)) return [ok(check, `${address} shows this server's certificate`)];
    if (shown.length > 0)
      return [fail(check, 'CERTIFICATE_NOT_REGISTERED', `${address} shows another certificate: ${shown[0]}`)];
    // Some networks do not let a machine reach itself at its public address.
    return [warn(check, error.code, `${address} from this machine: ${error.detail}`)];
  } finally {
    await client.close();
  }
}
