// `node scripts/dictionary/generate.ts`: writes the codelists made from packages into schemas/dictionary/codelists/, the
// same bytes every time. After a new edition of a package: run it, look at the difference, raise the list's version.
import { writeFileSync } from 'node:fs';
import { generatedCodelists } from './generated.ts';

for (const [name, text] of generatedCodelists()) {
  const file = `schemas/dictionary/codelists/${name}`;
  writeFileSync(file, text);
  console.log(`${file}: ${text.split('\n').length - 1} lines`);
}
