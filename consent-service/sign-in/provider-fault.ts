// What went wrong with an identity provider, in the house's codes. openid-client's errors carry the whole answer, with
// the tokens in it, as their cause: nothing of that goes on, only its code.
import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';
import { AccordError, isAccordError } from '#schemas/problems.ts';

/** Codes of openid-client that mean: the answer is not one that a working provider gives. */
const AWAY = new Set([
  'OAUTH_TIMEOUT',
  'OAUTH_ABORT',
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
  'OAUTH_PARSE_ERROR',
]);
const ERROR_NAME = /^[a-z_]{1,40}$/;

/**
 * SIGN_IN_PROVIDER_AWAY when the provider cannot be reached or answers rubbish, SIGN_IN_REFUSED when it or its token
 * says no. The operator hears of what no visitor can cause.
 */
export function providerFault(
  error: unknown,
  issuer: string,
  onAlarm: (code: string, detail: string) => void,
): AccordError {
  if (isAccordError(error))
    return error.code.startsWith('PEER_') || error.code === 'RESPONSE_TOO_LARGE' ? away(error.code) : error;
  if (error instanceof AuthorizationResponseError) return refused(nameOf(error.error));
  if (error instanceof ResponseBodyError) {
    // An unknown code is the visitor's doing; everything else (invalid_client …) is between us and the provider.
    if (error.error !== 'invalid_grant') onAlarm('SIGN_IN_REFUSED', `${issuer}: ${nameOf(error.error)}`);
    return refused(nameOf(error.error));
  }
  if (error instanceof ClientError) {
    const { cause, code = '' } = error;
    if (isAccordError(cause)) return providerFault(cause, issuer, onAlarm);
    if (AWAY.has(code)) return away(code);
    onAlarm('SIGN_IN_REFUSED', `${issuer}: ${code}`);
    return refused(code);
  }
  onAlarm('SIGN_IN_PROVIDER_AWAY', `${issuer}: ${error instanceof Error ? error.name : 'failed'}`);
  return away('failed');
}

function away(detail: string): AccordError {
  return new AccordError('SIGN_IN_PROVIDER_AWAY', detail);
}

function refused(detail: string): AccordError {
  return new AccordError('SIGN_IN_REFUSED', detail);
}

function nameOf(error: string): string {
  return ERROR_NAME.test(error) ? error : 'error';
}
