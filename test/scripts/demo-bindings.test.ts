// The demonstration's four adapter files bind without a fault to the dictionary that Accord comes with, and give what its
// story asks for.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { describeSql } from '#adapters/sql.ts';
import { OWN_DICTIONARY, readDictionaryFolder } from '#cli/dictionary-folder.ts';
import { openBinding, resolveFields } from '#policy/binding/binding.ts';
import { compileBinding } from '#policy/binding/compile.ts';
import { checkDictionary } from '#policy/dictionary/check.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import { bindingTableText } from '#schemas/binding-table.ts';
import type { JsonObject } from '#schemas/json.ts';
import { GRANTS, INSTANCE, serviceOf } from '#scripts/demo/departments.ts';
import { DEPARTMENTS, type Department } from '#scripts/demo/tables.ts';

const { entries, failures } = readDictionaryFolder(OWN_DICTIONARY);
t.strictSame(failures, []);
const dictionary = openDictionary('1.0.0', entries);
t.strictSame(checkDictionary(dictionary), []);

function documentOf(department: Department): JsonObject {
  const text = readFileSync(join('scripts/demo/adapters', `${department}.yaml`), 'utf8');
  return JSON.parse(JSON.stringify(describeSql(text, department)));
}

function compiled(department: Department, document = documentOf(department)) {
  const options = {
    service: serviceOf(department),
    instance: INSTANCE,
    dictionary,
    day: '2026-06-15',
    previousLevel: null,
  };
  return compileBinding(document, options);
}

for (const department of DEPARTMENTS) {
  t.test(department, async (t) => {
    const { table, faults } = compiled(department);
    t.strictSame(faults, []);
    if (table === null) return;
    t.comment(`${table.operations.length} operations, ${bindingTableText(table).length} bytes`);
    for (const { subject, responses } of table.operations) {
      t.ok(subject);
      const [problem] = responses.filter(({ status }) => status === '404');
      t.match(problem?.leaves.map(({ path, role }) => `${path} ${role}`).sort(), [
        '/code technical',
        '/status technical',
        '/title technical',
        '/type technical',
      ]);
    }
    // Every grant speaks of what its service gives.
    const binding = openBinding(table, dictionary);
    for (const { right } of GRANTS.filter(({ provider }) => provider === department)) {
      for (const { method, path } of right.endpoints) {
        const bound = binding.operation(method, path.replace('*', '11010519491231002X'));
        t.ok(bound, path);
        if (bound) t.strictSame(resolveFields(bound, binding, dictionary, right.elements ?? []).unknown, []);
      }
    }
  });
}

t.test('a file that binds something else is refused', async (t) => {
  const text = readFileSync('scripts/demo/adapters/tax.yaml', 'utf8');
  const cases: [string, string, string][] = [
    ['element: gx.tax.gross_income@1', 'element: gx.tax.gross_incomes@1', 'BIND_UNKNOWN_ELEMENT'],
    ['element: gx.tax.gross_income@1', 'description: unbound', 'BIND_UNBOUND_LEAF'],
    ['element: gx.tax.currency@1', 'element: gx.person.birth_date@1', 'BIND_NOT_AUTHORITY'],
    ['element: gx.tax.currency@1', 'element: gx.tax.tax_paid@1', 'BIND_TYPE_CONFLICT'],
    ['element: gx.tax.currency@1', 'role: technical', 'BIND_OPEN_SCHEMA'],
  ];
  for (const [from, to, code] of cases) {
    const changed = text.replaceAll(from, to);
    t.not(changed, text);
    const { table, faults } = compiled('tax', JSON.parse(JSON.stringify(describeSql(changed, 'tax'))));
    t.equal(table, null);
    t.ok(
      faults.some((fault) => fault.code === code),
      `${to}: ${faults.map((fault) => fault.code)}`,
    );
  }
});
