// How a place in an answer is written: in binding tables, in what a lookup asks for and in what a release says of each
// value. In a file of its own, because contexts name such places and tables name methods of contexts.
import { Type } from './schema-builder.ts';

/** A JSON Pointer (RFC 6901) into the answer's JSON without array indices; binding-table.ts says the rest. */
export const BindingPath = Type.String({ pattern: '^(?:/[^\\u0000-\\u001f/]{1,256}){0,16}$', maxLength: 512 });
