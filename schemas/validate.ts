// JSON Schema 2020-12 checks compiled once per schema. Nothing is coerced, removed or filled in: what was sent is what
// is judged.

import { Ajv2020 } from 'ajv/dist/2020.js';
import { AccordError, type ProblemCode } from './problems.ts';
import type { Static, TSchema } from './schema-builder.ts';

// The schemas are this program's own: strict mode finds a wrong keyword, and neither checking them against the schema of
// schemas nor making the compiled code shorter is worth what it costs, more than all of the compiling, at every start.
const ajv = new Ajv2020({
  validateSchema: false,
  code: { optimize: false },
  strict: true,
  allErrors: false,
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  allowUnionTypes: true,
});

/** A checker that returns its argument as `Static<T>` or throws `code` naming the first place that does not fit. */
export function compile<T extends TSchema>(schema: T, code: ProblemCode): (value: unknown) => Static<T> {
  let validate: ReturnType<typeof ajv.compile> | undefined;
  return (value) => {
    validate ??= ajv.compile(schema);
    if (validate(value)) return value as Static<T>;
    const first = validate.errors?.[0];
    const extra = first?.params?.['additionalProperty'] ?? first?.params?.['missingProperty'];
    const name = typeof extra === 'string' ? ` (${extra.slice(0, 64)})` : '';
    throw new AccordError(code, `${first?.instancePath || '/'} ${first?.message ?? 'does not fit'}${name}`);
  };
}
