// What the typed client asks and reads about the shared dictionary: the catalogue, reports of doubt, and what would be
// released. The department's own security server controls the answers; members that a newer one adds are let through.
import { Level } from '#schemas/dictionary-entry.ts';
import { type DoubtReport, DoubtStatus } from '#schemas/doubt.ts';
import { EffectiveAccess } from '#schemas/effective-access.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';

const Text = Type.String({ maxLength: 2000 });
const TextOrNull = Type.Union([Text, Type.Null()]);
const Bilingual = Type.Object({ zh: Text, en: Text });

const CatalogueItem = Type.Object({
  /** `id@major` */
  element: Text,
  kind: Type.Union([Type.Literal('element'), Type.Literal('predicate')]),
  labels: Bilingual,
  definition: Bilingual,
  level: Level,
  state: Text,
  unit: TextOrNull,
  codelist: TextOrNull,
  score: Type.Number(),
  services: Type.Array(
    Type.Object({
      service: Text,
      title: Text,
      method: Text,
      path: Text,
      subjectScheme: TextOrNull,
      purposes: Type.Array(Text),
      leafPath: TextOrNull,
    }),
  ),
  /** How many further services give it. */
  moreServices: Type.Integer({ minimum: 0 }),
});
const Catalogue = Type.Object({ release: Text, items: Type.Array(CatalogueItem) });
const CatalogueEntry = Type.Object({ release: Text, item: CatalogueItem });
const Doubt = Type.Object({
  ...DoubtStatus.properties,
  /** The exchange that carried the question, with what proves it. */
  report: Type.Object({ id: Text, evidence: Type.Unknown() }),
});

const EffectiveAnswer = Type.Object({
  ...EffectiveAccess.properties,
  /** The exchange that carried the question, with what proves it. */
  id: Text,
  evidence: Type.Unknown(),
});

export const checkCatalogue = compile(Catalogue, 'SCHEMA_MISMATCH');
export const checkCatalogueEntry = compile(CatalogueEntry, 'SCHEMA_MISMATCH');
export const checkDoubt = compile(Doubt, 'SCHEMA_MISMATCH');
export const checkEffective = compile(EffectiveAnswer, 'SCHEMA_MISMATCH');

export type CatalogueItem = Static<typeof CatalogueItem>;
export type Catalogue = Static<typeof Catalogue>;
export type CatalogueEntry = Static<typeof CatalogueEntry>;
export type Doubt = Static<typeof Doubt>;
export type EffectiveAnswer = Static<typeof EffectiveAnswer>;

export interface CatalogueSearch {
  /** At most 100; default 20. */
  limit?: number;
  /** Nothing more sensitive than this. */
  level?: 1 | 2 | 3 | 4;
  kind?: 'element' | 'predicate';
}

/** A value that was received and may be wrong; see schemas/doubt.ts for each member. */
export interface DoubtedValue
  extends Pick<DoubtReport, 'element' | 'subject' | 'doubted' | 'exchange'>,
    Partial<Pick<DoubtReport, 'path' | 'proposed' | 'evidenceHash' | 'note'>> {
  /** INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE that gave it. */
  service: string;
  /** The official who reports it. */
  userId?: string;
}
