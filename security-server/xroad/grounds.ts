// On what grounds a call in X-Road's protocol asks: the Accord-* headers in the terms of a lookup, under the same rules. The
// calling information system controls them; what they claim is judged by the provider's server.
import { readReceipt } from '#certs/receipt.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { Basis, PURPOSE_PATTERN } from '#schemas/statement.ts';
import { compile } from '#schemas/validate.ts';
import type { XRoadHeaders } from './headers.ts';

const Stated = Type.Object({
  purpose: Type.Union([Type.String({ pattern: PURPOSE_PATTERN }), Type.Null()]),
  basis: Basis,
});
const checkStated = compile(Stated, 'XROAD_HEADER_MALFORMED');

/**
 * Purpose and basis of the statement. A receipt says both itself; without one `open` is the basis that is not said.
 * @throws XROAD_HEADER_MALFORMED, RECEIPT_MALFORMED
 */
export function statedGrounds({ purpose, basis, receipt, evidence }: XRoadHeaders['grounds']): Static<typeof Stated> {
  if (receipt !== null && basis !== null && basis !== 'consent') {
    throw new AccordError('XROAD_HEADER_MALFORMED', 'accord-receipt on another basis than consent');
  }
  // The provider looks at tokens on two bases only; on another they would stand in both records as if they meant something.
  if (evidence.length > 0 && basis !== 'law' && basis !== 'emergency') {
    throw new AccordError('XROAD_HEADER_MALFORMED', 'accord-evidence on another basis than law and emergency');
  }
  if (receipt === null) return checkStated({ purpose, basis: basis ?? 'open' });
  return checkStated({ purpose: purpose ?? readReceipt(receipt).receipt.purpose.id, basis: 'consent' });
}
