// The codelists that are not written by hand: name of the file under schemas/dictionary/codelists/ to its text.
import { countryList } from './countries.ts';
import { currencyList } from './currencies.ts';
import { divisionList } from './divisions.ts';
import { entryText } from './entry-text.ts';

export function generatedCodelists(): Map<string, string> {
  return new Map([divisionList(), countryList(), currencyList()].map((list) => [`${list.id}.json`, entryText(list)]));
}
