// What stands beside a JAdES signature (clauses 5.3.4 to 5.3.6), read out of the JSON values of `etsiU` and of `x5c`: DER,
// nothing of it verified. Whoever hands in the file controls it; what has another form than ours is undefined.
import { isJsonObject, type JsonValue } from '#schemas/json.ts';
import { type ReadJades, readValue } from './jades-form.ts';

/** Undefined when it is no list of base64 values. */
export function chainIn({ x5c }: ReadJades['header']): Buffer[] | undefined {
  if (x5c === undefined) return [];
  const ders = Array.isArray(x5c) ? x5c.map((val) => readValue({ val })) : [undefined];
  return ders.length > 0 && ders.every((der) => der !== undefined) ? ders : undefined;
}

export function elementOf({ unsigned }: ReadJades, name: string): JsonValue | undefined {
  return unsigned.find((one) => one.name === name)?.value;
}

/** Of an `xVals`; undefined when it is none. */
export function certificatesIn(value: JsonValue | undefined): Buffer[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const ders = value.map((one) =>
    isJsonObject(one) && Object.keys(one).join() === 'x509Cert' ? readValue(one['x509Cert']) : undefined,
  );
  return ders.every((der) => der !== undefined) ? ders : undefined;
}

interface Revocations {
  crls: Buffer[];
  ocsp: Buffer[];
}

/** Of an `rVals`; undefined when it is none. */
export function revocationsIn(value: JsonValue | undefined): Revocations | undefined {
  if (value === undefined) return { crls: [], ocsp: [] };
  if (!isJsonObject(value)) return undefined;
  const { crlVals, ocspVals, ...rest } = value;
  const list = (one: JsonValue | undefined) => {
    if (one === undefined) return [];
    return Array.isArray(one) && one.length > 0 ? one.map(readValue) : [undefined];
  };
  const [crls, ocsp] = [list(crlVals), list(ocspVals)];
  const areValues = (ders: readonly (Buffer | undefined)[]): ders is Buffer[] => !ders.includes(undefined);
  const isSome = crls.length + ocsp.length > 0 && Object.keys(rest).length === 0;
  return isSome && areValues(crls) && areValues(ocsp) ? { crls, ocsp } : undefined;
}

export function tokenIn(value: JsonValue): Buffer | undefined {
  if (!isJsonObject(value) || Object.keys(value).join() !== 'tstTokens') return undefined;
  const tokens = value['tstTokens'];
  return Array.isArray(tokens) && tokens.length === 1 ? readValue(tokens[0]) : undefined;
}
