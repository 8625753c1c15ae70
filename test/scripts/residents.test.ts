// The demonstration's people: the same for the same seed, with identity numbers that check, and databases that the four
// adapter files fit, in which every department finds what the generator said.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { openAdapter } from '#adapters/adapter-file.ts';
import { listen } from '#adapters/listen.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { makeDatabases } from '#scripts/demo/databases.ts';
import { readPersonas } from '#scripts/demo/personas.ts';
import { generatePopulation, identityCheckDigit, type Population, SUPPORT_THRESHOLD } from '#scripts/demo/residents.ts';
import { DEPARTMENTS } from '#scripts/demo/tables.ts';
import { startPostgres } from '#scripts/postgres.ts';

const people = generatePopulation(7);

t.test('ten thousand, unique, well-formed', async (t) => {
  // Worked examples of the standard.
  t.equal(identityCheckDigit('11010519491231002'), 'X');
  t.equal(identityCheckDigit('44052418800101001'), '4');
  t.equal(people.residents.length, 10_000);
  t.equal(new Set(people.residents.map(({ id }) => id)).size, 10_000);
  const wrong = people.residents.filter(({ id, sex, birthDate }) => {
    const male = Number(id.charAt(16)) % 2 === 1;
    const born = `${id.slice(6, 10)}-${id.slice(10, 12)}-${id.slice(12, 14)}`;
    const sums = [...id].reduce(
      (sum, digit, at) => sum + (digit === 'X' ? 10 : Number(digit)) * (2 ** (17 - at) % 11),
      0,
    );
    const real = new Date(`${birthDate}T00:00:00Z`).toISOString().startsWith(birthDate);
    return !/^\d{17}[\dX]$/.test(id) || male !== (sex === 'male') || born !== birthDate || sums % 11 !== 1 || !real;
  });
  t.strictSame(wrong, []);
});

t.test('the same seed gives the same people, another seed others', async (t) => {
  // tap's own comparison describes each of the thousands of rows, equal or not.
  t.ok(isDeepStrictEqual(generatePopulation(7, 500), generatePopulation(7, 500)));
  t.notOk(isDeepStrictEqual(generatePopulation(8, 500).residents, generatePopulation(7, 500).residents));
  t.equal(generatePopulation(7, 1).residents.length, 1);
});

t.test('households hold together and support follows from income', async (t) => {
  const members = Map.groupBy(people.residents, ({ householdId }) => householdId);
  const income = new Map(
    people.incomes.filter(({ year }) => year === 2025).map((one) => [one.residentId, one.grossIncome]),
  );
  const support = new Map(people.support.map((one) => [one.residentId, one]));
  const misfits = people.households.filter(({ id, headId }) => {
    const all = members.get(id) ?? [];
    const perHead = Math.floor(all.reduce((sum, one) => sum + (income.get(one.id) ?? 0), 0) / 12 / all.length);
    const heads = all.filter(({ relation }) => relation === 'head');
    const told = all.every((one) => support.get(one.id)?.receiving === perHead < SUPPORT_THRESHOLD);
    return all.length < 1 || all.length > 6 || heads.length !== 1 || heads[0]?.id !== headId || !told;
  });
  t.strictSame(misfits, []);
  const receiving = people.support.filter((one) => one.receiving);
  t.ok(receiving.length > 200 && receiving.length < 2_000, `${receiving.length} receive support`);
  t.ok(receiving.every(({ since, monthlyAmount }) => since !== null && (monthlyAmount ?? 0) > 0));
});

const http = openClient();
t.teardown(() => http.close());

async function askAll(test: typeof t, population: Population, postgresUrl?: string) {
  const folder = mkdtempSync(join(tmpdir(), 'accord-demo-'));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const began = performance.now();
  const { adapterFiles, environment } = await makeDatabases(join(folder, 'data'), population, postgresUrl);
  test.comment(`four databases in ${Math.round(performance.now() - began)} ms`);
  const urls: Record<string, string> = {};
  for (const department of DEPARTMENTS) {
    const file = adapterFiles[department];
    const adapter = await openAdapter(readFileSync(file, 'utf8'), { file, environment }, systemClock);
    test.strictSame(adapter.warnings, [], `${department}: every path has its index`);
    test.teardown(() => adapter.server.close());
    urls[department] = await listen(adapter);
  }
  return async (department: string, path: string) => {
    const { status, body } = await http.request({ origin: urls[department] ?? '', path, method: 'GET' });
    return { status, json: JSON.parse(body.toString()) };
  };
}

async function checkAnswers(test: typeof t, population: Population, postgresUrl?: string): Promise<void> {
  const ask = await askAll(test, population, postgresUrl);
  const support = [population.support.find((one) => one.receiving), population.support.find((one) => !one.receiving)];
  for (const one of support.filter((found) => found !== undefined)) {
    const { residentId: id, receiving, since, monthlyAmount } = one;
    const answer = await ask('civil-affairs', `/residents/${id}/low-income-support`);
    test.strictSame(answer.json, { receiving, since, monthlyAmount });
    const person = population.residents.find((resident) => resident.id === id);
    const resident = (await ask('civil-affairs', `/residents/${id}`)).json;
    test.match(resident, { id, name: person?.name, birthDate: person?.birthDate, sex: person?.sex });
    const household = (await ask('civil-affairs', `/households/${resident.householdId}`)).json;
    test.equal(household.address, resident.address);
    test.ok(household.members.some((member: { id: string }) => member.id === id));
    const incomes = population.incomes.filter(({ residentId }) => residentId === id);
    test.equal((await ask('tax', `/residents/${id}/annual-income`)).json.items.length, incomes.length);
    test.equal(
      (await ask('medical-insurance', `/residents/${id}/enrolment`)).json.status,
      population.enrolments.find(({ residentId }) => residentId === id)?.status,
    );
  }
  const income = population.incomes[0];
  test.match((await ask('tax', `/residents/${income?.residentId}/annual-income/${income?.year}`)).json, {
    grossIncome: income?.grossIncome,
    currency: income?.currency,
  });
  const home = population.registrations[0];
  test.match((await ask('housing', `/residents/${home?.residentId}/registrations`)).json, {
    items: [{ registrationNumber: home?.registrationNumber, areaM2: home?.areaM2 }],
  });
  test.equal((await ask('civil-affairs', '/residents/110105194912310029/low-income-support')).status, 404);
  test.equal((await ask('civil-affairs', '/residents/1/low-income-support')).status, 400);
}

t.test('all departments answer, on SQLite', (t) => checkAnswers(t as never, people));

t.test('all departments answer, the tax office on PostgreSQL', async (t) => {
  const postgres = await startPostgres();
  if ('skipped' in postgres) {
    t.comment(`SKIPPED: ${postgres.skipped}`);
    return;
  }
  t.teardown(() => postgres.stop());
  await checkAnswers(t as never, people, postgres.url);
});

t.test('people from a file of Myinfo personas', async (t) => {
  t.throws(() => readPersonas(Buffer.from('{"personas":{}}')), { code: 'SCHEMA_MISMATCH' });
  t.throws(() => readPersonas(Buffer.from('[]')), { code: 'JSON_INVALID' });
  const one = {
    uinfin: { value: 'S1234567D' },
    name: { value: 'TAN' },
    sex: { code: 'F' },
    dob: { value: '1950-01-31' },
  };
  const silversupport = { eligibility: { value: true }, amount: { value: 900 }, year: { value: '2026' } };
  t.match(readPersonas(Buffer.from(JSON.stringify({ personas: { a: { ...one, silversupport }, b: one } }))), {
    residents: [{ id: 'S1234567D', name: 'TAN', sex: 'female', birthDate: '1950-01-31' }],
    support: [{ receiving: true, since: '2026-01-01', monthlyAmount: 300 }],
  });
  const file = resolve('../shared/data/personas/myinfo-v3.json');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    t.comment(`SKIPPED: no personas at ${file}`);
    return;
  }
  const personas = readPersonas(bytes);
  t.equal(personas.residents.length, 31);
  await checkAnswers(t as never, personas);
});
