// Reads a file of Myinfo v3 personas (open test data of the Government Technology Agency of Singapore) into the rows of
// the demonstration: its `silversupport` stands for low-income support, `noa` for the tax assessment, `hdbownership` for
// the housing register. Every persona is a household of its own. Whoever started the demonstration chose the file.

import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import type { AnnualIncome, HousingRegistration, LowIncomeSupport, Population, Resident } from './residents.ts';

const MAX_FILE_BYTES = 32 * 1024 * 1024;
const SEXES: Record<string, Resident['sex']> = { M: 'male', F: 'female' };

/** @throws SCHEMA_MISMATCH when the file holds no personas, and the codes of the JSON reader */
export function readPersonas(bytes: Uint8Array): Population {
  const file = parseJsonObject(bytes, { maxBytes: MAX_FILE_BYTES, maxValues: 2_000_000 });
  const personas = isJsonObject(file['personas']) ? Object.values(file['personas']).filter(isJsonObject) : [];
  const population: Population = {
    households: [],
    residents: [],
    support: [],
    incomes: [],
    registrations: [],
    enrolments: [],
  };
  const seen = new Set<string>();
  for (const persona of personas) {
    const id = textAt(persona, 'uinfin');
    if (/^[A-Z][0-9]{7}[A-Z]$/.test(id) && !seen.has(id)) {
      seen.add(id);
      addPersona(population, id, persona);
    }
  }
  if (population.residents.length === 0) {
    throw new AccordError('SCHEMA_MISMATCH', 'no personas with a uinfin under "personas"');
  }
  return population;
}

function addPersona(population: Population, id: string, persona: JsonObject): void {
  const number = String(population.residents.length + 1).padStart(6, '0');
  const householdId = `SG-${number}`;
  const address = addressOf(persona['regadd']);
  population.households.push({ id: householdId, address, headId: id });
  population.residents.push({
    id,
    name: textAt(persona, 'name'),
    sex: SEXES[textAt(persona, 'sex', 'code')] ?? 'unknown',
    birthDate: textAt(persona, 'dob') || '1900-01-01',
    householdId,
    relation: 'head',
  });
  population.support.push(supportOf(id, persona));
  population.incomes.push(...incomesOf(id, persona));
  population.registrations.push(...registrationsOf(id, persona));
  population.enrolments.push({
    residentId: id,
    insuranceNumber: `MS${number}`,
    scheme: 'resident',
    status: 'active',
    since: '2015-11-01', // MediShield Life covers every citizen from its first day
  });
}

function supportOf(residentId: string, persona: JsonObject): LowIncomeSupport {
  const amount = numberAt(persona, 'silversupport', 'amount', 'value');
  const stated = at(persona, 'silversupport', 'eligibility', 'value');
  const receiving = stated === true || /^(?:y|yes|true)$/i.test(String(stated)) || (amount ?? 0) > 0;
  const year = String(at(persona, 'silversupport', 'year', 'value') ?? '');
  return {
    residentId,
    receiving,
    since: receiving ? `${/^\d{4}$/.test(year) ? year : '2020'}-01-01` : null,
    // Silver Support is paid each quarter.
    monthlyAmount: receiving ? Math.round((amount ?? 0) / 3) : null,
  };
}

function incomesOf(residentId: string, persona: JsonObject): AnnualIncome[] {
  const history = at(persona, 'noahistory', 'noas');
  const assessments = [at(persona, 'noa'), ...(Array.isArray(history) ? history : [])].filter(isJsonObject);
  const byYear = new Map<number, AnnualIncome>();
  for (const assessment of assessments) {
    const year = numberAt(assessment, 'yearofassessment', 'value');
    const amount = numberAt(assessment, 'amount', 'value');
    if (year !== undefined && amount !== undefined && !byYear.has(year)) {
      byYear.set(year, { residentId, year, grossIncome: Math.round(amount), taxPaid: 0, currency: 'SGD' });
    }
  }
  return [...byYear.values()];
}

function registrationsOf(residentId: string, persona: JsonObject): HousingRegistration[] {
  const flats = persona['hdbownership'];
  return (Array.isArray(flats) ? flats : []).filter(isJsonObject).map((flat, place) => ({
    registrationNumber: `HDB-${residentId}-${place + 1}`,
    residentId,
    address: addressOf(flat['address']),
    tenure: 'owned',
    areaM2: AREA_BY_TYPE[textAt(flat, 'hdbtype', 'code')] ?? 90,
    since: textAt(flat, 'dateofpurchase') || '1900-01-01',
  }));
}

/** Typical floor areas of Housing Board flats; the personas state only the type. */
const AREA_BY_TYPE: Record<string, number> = { '111': 33, '112': 45, '113': 65, '114': 90, '115': 110, '116': 130 };

function addressOf(address: JsonValue | undefined): string {
  if (!isJsonObject(address)) {
    return 'unknown';
  }
  const part = (name: string) => textAt(address, name);
  const unit = part('floor') === '' ? '' : `#${part('floor')}-${part('unit')}`;
  const lines = [`${part('block')} ${part('street')}`.trim(), unit, part('building'), part('postal')];
  return lines.filter((line) => line !== '').join(', ') || 'unknown';
}

function at(from: JsonValue | undefined, ...path: string[]): JsonValue | undefined {
  return path.reduce<JsonValue | undefined>((value, name) => (isJsonObject(value) ? value[name] : undefined), from);
}

/** The text under `name`, then `key`; '' when there is none. */
function textAt(from: JsonObject, name: string, key = 'value'): string {
  const value = at(from, name, key);
  return typeof value === 'string' ? value.slice(0, 200) : '';
}

/** Numbers and texts of numbers; the file mixes them, and '' means none. */
function numberAt(from: JsonObject, ...path: string[]): number | undefined {
  const value = at(from, ...path);
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}
