// How routes that declare JSON Schemas check what comes: one Ajv 2020 for all servers of a process, made for the first such
// route. Keywords of the OpenAPI dialect are allowed beside the validating ones. Routes declare their schemas in this
// program, where strict mode finds a wrong keyword: nothing else is checked at each start.
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify';

let compiler: Ajv2020 | undefined;

function open(): Ajv2020 {
  const made = new Ajv2020({
    validateSchema: false,
    code: { optimize: false },
    allErrors: false,
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: false,
    strict: true,
    strictTypes: false,
    allowUnionTypes: true,
    keywords: ['example'],
  });
  formats.default(made);
  return made;
}

const compile: FastifySchemaCompiler<object> = ({ schema }) => {
  compiler ??= open();
  return compiler.compile(schema);
};

/** In place of fastify's own compilers, which it would load, with two hundred files, for every server. */
export const routeSchemas = {
  compilersFactory: {
    buildValidator: () => compile,
    buildSerializer: () => () => (value: unknown) => JSON.stringify(value),
  },
} as unknown as NonNullable<FastifyServerOptions['schemaController']>; // its own type names the shapes of its own compilers only
