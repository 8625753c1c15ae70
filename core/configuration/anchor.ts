// The configuration anchor: the one file a server (or an auditor) is given by hand, from which every signature of the
// global configuration is checked. Whoever controls it controls whom the server trusts.
import { type ConfigurationAnchor, ConfigurationAnchor as Schema } from '#schemas/configuration.ts';
import { parseJson } from '#schemas/json.ts';
import { compile } from '#schemas/validate.ts';

const MAX_ANCHOR_BYTES = 64 * 1024;
const check = compile(Schema, 'CONFIGURATION_ANCHOR_INVALID');

/** @throws CONFIGURATION_ANCHOR_INVALID, JSON_* */
export function readAnchor(text: Uint8Array | string): ConfigurationAnchor {
  return check(parseJson(text, { maxBytes: MAX_ANCHOR_BYTES, maxDepth: 6, maxValues: 1_000 }));
}
