// The tables and rows that the SQL adapter's cases ask, in SQL that SQLite and PostgreSQL both take.

export const SCHEMA = `
  CREATE TABLE households (id VARCHAR(20) PRIMARY KEY, address VARCHAR(200) NOT NULL);
  CREATE TABLE "Residents" (id VARCHAR(600) PRIMARY KEY, household_id VARCHAR(20) NOT NULL, name VARCHAR(9000),
    born DATE, children INTEGER, income NUMERIC(12,2), active BOOLEAN NOT NULL, "odd ""name" VARCHAR(20));
  CREATE INDEX residents_household ON "Residents" (household_id);
  CREATE TABLE payments (resident_id VARCHAR(20) NOT NULL, year INTEGER NOT NULL, amount INTEGER NOT NULL);
  CREATE INDEX payments_resident ON payments (resident_id, year);
  INSERT INTO households VALUES ('H1', '长安街1号'), ('H2', 'Lane 2');
  INSERT INTO "Residents" VALUES
    ('A1', 'H1', '王伟', '1980-02-29', 2, 1234.50, true, 'odd'),
    ('A2', 'H1', NULL, NULL, NULL, NULL, false, NULL),
    ('B1', 'H2', 'x', '2001-12-31', 0, 0, true, ''),
    ('L4', 'H2', '宽宽宽宽', '2001-12-31', 0, 0, true, ''),
    ('L5', 'H2', '宽宽宽宽宽', '2001-12-31', 0, 0, true, ''),
    ('a/b c%', 'H9', 'slash', '2001-12-31', 0, 0, true, '');
  INSERT INTO payments VALUES ('A1', 2023, 1), ('A1', 2024, 2), ('A1', 2024, 3), ('B1', 2024, 4), ('B1', 2024, 5),
    ('B1', 2024, 6), ('B1', 2024, 7);`;
