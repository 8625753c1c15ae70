// Made catalogues for measurements: entries whose texts are put together from those of the dictionary that Accord comes
// with, and what somebody might type to find them.
import { readDictionaryFolder } from '#cli/dictionary-folder.ts';
import type { ElementEntry } from '#schemas/dictionary-entry.ts';
import type { Source } from '#scripts/demo/random.ts';

/** Each has the labels of one element and the definitions and synonyms of two. */
export function madeCatalogue(folder: string, size: number, chance: Source): ElementEntry[] {
  const own = readDictionaryFolder(folder).entries.filter((entry) => entry.kind === 'element');
  return Array.from({ length: size }, (_, index): ElementEntry => {
    const [one, other] = [chance.pick(own), chance.pick(own)];
    const both = (language: 'zh' | 'en') => [
      ...(one.synonyms?.[language] ?? []),
      ...(other.synonyms?.[language] ?? []),
    ];
    return {
      ...one,
      id: `${one.id}_${index}`,
      labels: { zh: `${other.labels.zh}的${one.labels.zh}`, en: `${one.labels.en} of ${other.labels.en}` },
      definition: {
        zh: `${one.definition.zh}${other.definition.zh}`,
        en: `${one.definition.en} ${other.definition.en}`,
      },
      synonyms: { zh: both('zh'), en: both('en') },
    };
  });
}

/** Labels in both languages, single words, beginnings of words, and words with a letter missing. */
export function madeQueries(entries: readonly ElementEntry[], count: number, chance: Source): string[] {
  return Array.from({ length: count }, (_, index) => {
    const { zh, en } = chance.pick(entries).labels;
    const word = chance.pick(en.split(' ').filter((part) => part.length > 3)) ?? en;
    switch (index % 5) {
      case 0:
        return zh.slice(0, 4);
      case 1:
        return zh;
      case 2:
        return en;
      case 3:
        return word.slice(0, 4);
      default:
        return word.slice(0, 2) + word.slice(3);
    }
  });
}
