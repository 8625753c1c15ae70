// The text of a token of evidence inside a request's context; what it says stands in evidence.ts.

import { MAX_EVIDENCE_BYTES } from './limits.ts';
import { Type } from './schema-builder.ts';

/** A compact JWS. */
export const EvidenceToken = Type.String({
  pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$',
  maxLength: MAX_EVIDENCE_BYTES,
});
