// The one spelling of an OpenAPI description, whose hash stands in a service's registration: the registry hashes what was
// handed in, the provider's server compares what it hands out. Whoever describes the service controls the document.
import { createHash } from 'node:crypto';
import { canonicalJson } from '#schemas/canonical-json.ts';
import type { JsonObject } from '#schemas/json.ts';

export function descriptionBytes(document: JsonObject): Buffer {
  return Buffer.from(spelled(document), 'utf8');
}

/** SHA-256, base64url. */
export function descriptionHashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url');
}

function spelled(document: JsonObject): string {
  try {
    return canonicalJson(document);
  } catch {
    return JSON.stringify(document); // it has numbers that are not integers; any stable spelling will do
  }
}
