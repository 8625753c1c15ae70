// OpenAPI documents of services: stored as they came, and only when they are sound on their own. The parser would fetch
// files and URLs that a `$ref` names, so every reference that leaves the document is refused before it sees one. The
// provider's administrator controls the document.
import { type ParserOptions, validate } from '@readme/openapi-parser';
import { descriptionBytes, descriptionHashOf } from '#core/configuration/description.ts';
import type { JsonObject, JsonValue } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';

export interface ServiceDescription {
  bytes: Buffer;
  hash: string;
}

const OPTIONS: ParserOptions = { resolve: { external: false } };

/** @param document the parsed JSON document @throws DESCRIPTION_REFUSED */
export async function readDescription(document: JsonObject): Promise<ServiceDescription> {
  const { openapi } = document;
  if (typeof openapi !== 'string' || !/^3\.[01]\.\d+$/.test(openapi)) {
    throw new AccordError('DESCRIPTION_REFUSED', 'not OpenAPI 3.0 or 3.1');
  }
  refuseForeignReferences(document);
  const bytes = descriptionBytes(document);
  // The parser resolves references in the object it is given: it gets a copy, the bytes stay what was sent.
  const copy = JSON.parse(bytes.toString()) as Parameters<typeof validate>[0];
  const result = await validate(copy, OPTIONS).catch((error: unknown) => {
    throw new AccordError('DESCRIPTION_REFUSED', 'a reference leads nowhere', { cause: error });
  });
  if (!result.valid) throw new AccordError('DESCRIPTION_REFUSED', result.errors[0]?.message.slice(0, 300) ?? '');
  return { bytes, hash: descriptionHashOf(bytes) };
}

function refuseForeignReferences(value: JsonValue): void {
  if (Array.isArray(value)) for (const each of value) refuseForeignReferences(each);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      const reference = name === '$ref' || name === '$dynamicRef';
      if (reference && typeof member === 'string' && !member.startsWith('#/')) {
        throw new AccordError('DESCRIPTION_REFUSED', 'a $ref does not start with #/');
      }
      refuseForeignReferences(member);
    }
  }
}
