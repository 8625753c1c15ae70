// The four departments' tables, in SQL that SQLite and PostgreSQL both take. The names here are what
// scripts/demo/adapters/*.yaml map to services.

import type { Population } from './residents.ts';

export interface Table {
  name: string;
  /** Column to SQL type, in the order of the rows. */
  columns: Record<string, string>;
  keys: string[];
  indexes: string[];
  rows: (string | number | boolean | null)[][];
}

export const DEPARTMENTS = ['civil-affairs', 'tax', 'housing', 'medical-insurance'] as const;
export type Department = (typeof DEPARTMENTS)[number];

const text = 'TEXT NOT NULL';

export function tablesOf(population: Population): Record<Department, Table[]> {
  return {
    'civil-affairs': civilAffairs(population),
    tax: [
      {
        name: 'annual_income',
        columns: {
          resident_id: text,
          year: 'INTEGER NOT NULL',
          gross_income: 'INTEGER NOT NULL',
          tax_paid: 'INTEGER NOT NULL',
          currency: text,
        },
        keys: ['resident_id', 'year'],
        indexes: [],
        rows: population.incomes.map((one) => [one.residentId, one.year, one.grossIncome, one.taxPaid, one.currency]),
      },
    ],
    housing: [
      {
        name: 'registrations',
        columns: {
          registration_number: text,
          resident_id: text,
          address: text,
          tenure: text,
          area_m2: 'REAL NOT NULL',
          since: 'DATE NOT NULL',
        },
        keys: ['registration_number'],
        indexes: ['resident_id'],
        rows: population.registrations.map((one) => [
          one.registrationNumber,
          one.residentId,
          one.address,
          one.tenure,
          one.areaM2,
          one.since,
        ]),
      },
    ],
    'medical-insurance': [
      {
        name: 'enrolments',
        columns: { resident_id: text, insurance_number: text, scheme: text, status: text, since: 'DATE NOT NULL' },
        keys: ['resident_id'],
        indexes: ['insurance_number'],
        rows: population.enrolments.map((one) => [
          one.residentId,
          one.insuranceNumber,
          one.scheme,
          one.status,
          one.since,
        ]),
      },
    ],
  };
}

function civilAffairs({ households, residents, support }: Population): Table[] {
  return [
    {
      name: 'households',
      columns: { household_id: text, address: text, head_id: text },
      keys: ['household_id'],
      indexes: [],
      rows: households.map((one) => [one.id, one.address, one.headId]),
    },
    {
      name: 'residents',
      columns: {
        resident_id: text,
        name: text,
        sex: text,
        birth_date: 'DATE NOT NULL',
        household_id: text,
        relation: text,
      },
      keys: ['resident_id'],
      indexes: ['household_id'],
      rows: residents.map((one) => [one.id, one.name, one.sex, one.birthDate, one.householdId, one.relation]),
    },
    {
      name: 'low_income_support',
      columns: { resident_id: text, receiving: 'BOOLEAN NOT NULL', since: 'DATE', monthly_amount: 'INTEGER' },
      keys: ['resident_id'],
      indexes: [],
      rows: support.map((one) => [one.residentId, one.receiving, one.since, one.monthlyAmount]),
    },
  ];
}
