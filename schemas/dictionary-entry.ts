// The entries of the shared data dictionary (DESIGN: the dictionary): elements, codelists, mappings, predicates and
// groups, one JSON file each in schemas/dictionary/. Written by the dictionary's editors, released by the registry as a
// signed part of the global configuration; every file passes this form, its own tests and the rules in policy/dictionary.
// After ISO/IEC 11179 an element is a concept (labels, definition, matches) with a value domain (domain, codelist, unit).
import { MEMBER_ID_PATTERN } from './identifiers.ts';
import { type Static, Type } from './schema-builder.ts';

const closed = { additionalProperties: false };
const DICTIONARY_ID = '[a-z][a-z0-9]*(?:[._][a-z0-9]+)*';
/** `id@major`, as services, access rights and requests name an entry. */
export const ENTRY_REF_PATTERN = `^(?=.{1,127}$)${DICTIONARY_ID}@[1-9][0-9]{0,3}$`;
export const EntryRef = Type.String({ pattern: ENTRY_REF_PATTERN });
const Name = Type.String({ pattern: '^[a-z][A-Za-z0-9]{0,31}$' });
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Bilingual = (maxLength: number) => Type.Object({ zh: Text(maxLength), en: Text(maxLength) }, closed);
/** A calendar date, YYYY-MM-DD. */
const Day = Type.String({ pattern: '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$' });
/** Exclusive end; null while it lasts. */
const Until = Type.Union([Day, Type.Null()]);
const Scalar = Type.Union([Type.String({ maxLength: 1000 }), Type.Number(), Type.Boolean(), Type.Null()]);
const Semver = Type.String({ pattern: '^[1-9][0-9]{0,3}\\.[0-9]{1,4}\\.[0-9]{1,4}$' });

const common = {
  id: Type.String({ pattern: `^(?=.{1,120}$)${DICTIONARY_ID}$` }),
  /** Semantic version: a change that narrows or moves the meaning is a new major, which stands beside the old one. */
  version: Semver,
  state: Type.Union([
    Type.Literal('draft'),
    Type.Literal('candidate'),
    Type.Literal('standard'),
    Type.Literal('deprecated'),
    Type.Literal('retired'),
  ]),
  labels: Bilingual(200),
  definition: Bilingual(2000),
  synonyms: Type.Optional(
    Type.Object(
      {
        zh: Type.Optional(Type.Array(Text(100), { maxItems: 20 })),
        en: Type.Optional(Type.Array(Text(100), { maxItems: 20 })),
      },
      closed,
    ),
  ),
  /** What to use instead of a deprecated or retired entry. */
  replacedBy: Type.Optional(EntryRef),
};

/** The JSON Schema 2020-12 keywords a value domain may use; values are scalars. */
export const ValueDomain = Type.Object(
  {
    type: Type.Union([
      Type.Literal('string'),
      Type.Literal('integer'),
      Type.Literal('number'),
      Type.Literal('boolean'),
    ]),
    format: Type.Optional(
      Type.Union([
        Type.Literal('date'),
        Type.Literal('date-time'),
        Type.Literal('uuid'),
        Type.Literal('email'),
        Type.Literal('uri'),
      ]),
    ),
    pattern: Type.Optional(Text(400)),
    minLength: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
    maxLength: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    minimum: Type.Optional(Type.Number()),
    maximum: Type.Optional(Type.Number()),
    multipleOf: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    enum: Type.Optional(Type.Array(Scalar, { minItems: 1, maxItems: 500 })),
  },
  closed,
);

/** Who says what is true of this element: one member in one jurisdiction at one time. */
const Authority = Type.Object(
  {
    /** The instance's code, or a part of it such as a division's code. */
    jurisdiction: Type.String({ pattern: '^[A-Za-z0-9-]{1,32}$' }),
    member: Type.String({ pattern: MEMBER_ID_PATTERN }),
    from: Day,
    until: Until,
  },
  closed,
);

/** The same or a near concept elsewhere: GB/T, EU Core Vocabularies, NIEM. */
const Match = Type.Object(
  {
    scheme: Text(60),
    id: Text(300),
    relation: Type.Union([
      Type.Literal('exact'),
      Type.Literal('close'),
      Type.Literal('broader'),
      Type.Literal('narrower'),
    ]),
  },
  closed,
);

/** Where an entry's content was taken from. */
const Source = Type.Object(
  {
    name: Text(300),
    /** Edition or version of the source. */
    edition: Type.Optional(Text(100)),
    licence: Type.Optional(Text(100)),
    /** When it was taken over, or when its issuer dated it. */
    date: Day,
  },
  closed,
);

export const Level = Type.Union([Type.Literal(1), Type.Literal(2), Type.Literal(3), Type.Literal(4)]);

export const ElementEntry = Type.Object(
  {
    kind: Type.Literal('element'),
    ...common,
    domain: ValueDomain,
    codelist: Type.Optional(EntryRef),
    /** UCUM code, or an ISO 4217 currency. */
    unit: Type.Optional(Text(30)),
    /** 1 public … 4 most sensitive. */
    level: Level,
    /** The promise: an answer whose `asOf` is older is marked stale. */
    maxAgeDays: Type.Optional(Type.Integer({ minimum: 0, maximum: 36_500 })),
    authorities: Type.Array(Authority, { maxItems: 100 }),
    matches: Type.Optional(Type.Array(Match, { maxItems: 20 })),
    source: Type.Optional(Source),
    tests: Type.Array(Type.Object({ value: Scalar, valid: Type.Boolean() }, closed), { minItems: 2, maxItems: 50 }),
  },
  closed,
);

export const CodelistEntry = Type.Object(
  {
    kind: Type.Literal('codelist'),
    ...common,
    source: Source,
    codes: Type.Array(
      Type.Object(
        {
          code: Text(32),
          labels: Type.Object(
            { zh: Type.Optional(Text(200)), en: Type.Optional(Text(200)) },
            { ...closed, minProperties: 1 },
          ),
          parent: Type.Optional(Text(32)),
          from: Type.Optional(Day),
          until: Type.Optional(Day),
          replacedBy: Type.Optional(Text(32)),
        },
        closed,
      ),
      { minItems: 1, maxItems: 50_000 },
    ),
    tests: Type.Array(Type.Object({ value: Scalar, valid: Type.Boolean() }, closed), { minItems: 2, maxItems: 50 }),
  },
  closed,
);

/** What stands on one side of a mapping, by name: an element, a codelist, or a local form that only the mapping knows. */
const Side = Type.Record(
  Name,
  Type.String({ pattern: `^(?:local:[a-z0-9_.-]{1,64}|(?=.{1,127}$)${DICTIONARY_ID}@[1-9][0-9]{0,3})$` }),
  { ...closed, minProperties: 1, maxProperties: 8 },
);
const At = { at: Name };
const step = <T extends string, P extends Parameters<typeof Type.Object>[0]>(op: T, properties: P) =>
  Type.Object({ op: Type.Literal(op), ...properties }, closed);
const ValueTable = Type.Record(Type.String({ maxLength: 100 }), Scalar, { minProperties: 1, maxProperties: 5000 });
const DateForm = Type.String({ pattern: '^(?:YYYY|MM|DD|[-/. \\u5e74\\u6708\\u65e5])+$', maxLength: 20 });

/** The closed list of steps; each works on a flat record of named scalars. */
export const MappingStep = Type.Union([
  step('rename', { from: Name, to: Name }),
  step('const', { to: Name, value: Scalar }),
  step('enumMap', { ...At, table: ValueTable }),
  step('dateFormat', { ...At, from: DateForm, to: DateForm }),
  step('trim', At),
  step('pad', {
    ...At,
    length: Type.Integer({ minimum: 1, maximum: 64 }),
    with: Type.String({ minLength: 1, maxLength: 1 }),
    side: Type.Union([Type.Literal('start'), Type.Literal('end')]),
  }),
  step('split', {
    ...At,
    separator: Type.String({ minLength: 1, maxLength: 8 }),
    into: Type.Array(Name, { minItems: 2, maxItems: 8 }),
  }),
  step('concat', {
    from: Type.Array(Name, { minItems: 2, maxItems: 8 }),
    separator: Type.String({ maxLength: 8 }),
    to: Name,
  }),
  /** value × numerator / denominator + offset, rounded half up (away from zero) to `digits` decimals where given. */
  step('unit', {
    ...At,
    numerator: Type.Integer({ minimum: 1 }),
    denominator: Type.Integer({ minimum: 1 }),
    offset: Type.Optional(Type.Number()),
    digits: Type.Optional(Type.Integer({ minimum: 0, maximum: 9 })),
  }),
  step('lookup', {
    ...At,
    crosswalk: Type.Array(
      Type.Object({ from: Text(64), to: Text(64), since: Type.Optional(Day), until: Type.Optional(Day) }, closed),
      { minItems: 1, maxItems: 5000 },
    ),
  }),
  step('default', { ...At, value: Scalar }),
  step('drop', At),
]);

const FlatRecord = Type.Record(Name, Scalar, { maxProperties: 8 });

export const MappingEntry = Type.Object(
  {
    kind: Type.Literal('mapping'),
    ...common,
    from: Side,
    to: Side,
    /** `lossless`: nothing that the target can say is lost; `lossy`: something is, and the definition says what. */
    fidelity: Type.Union([Type.Literal('lossless'), Type.Literal('lossy')]),
    /** The mapping back; both must round-trip over the examples. */
    inverse: Type.Optional(EntryRef),
    steps: Type.Array(MappingStep, { minItems: 1, maxItems: 32 }),
    /** A value that no table or form knows: the whole mapping fails, the value becomes null (unknown), or it stays. */
    onUnmapped: Type.Union([Type.Literal('fail'), Type.Literal('unknown'), Type.Literal('keep')]),
    examples: Type.Array(
      Type.Object({ in: FlatRecord, out: Type.Union([FlatRecord, Type.Null()]), on: Type.Optional(Day) }, closed),
      { minItems: 1, maxItems: 50 },
    ),
  },
  closed,
);

export const PredicateEntry = Type.Object(
  {
    kind: Type.Literal('predicate'),
    ...common,
    level: Level,
    inputs: Type.Record(Name, EntryRef, { ...closed, minProperties: 1, maxProperties: 8 }),
    /** The only numbers the expression may compare with; a request can never bring one. */
    thresholds: Type.Record(Name, Type.Union([Type.Number(), Type.String({ maxLength: 100 })]), {
      ...closed,
      maxProperties: 16,
    }),
    /** CEL over the inputs, `thresholds` and `today`; anything but a boolean is `unknown`. */
    expression: Text(2000),
    /** Different predicates over one input that one consumer may ask of one person in 30 days; else the server's limit. */
    budget: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    tests: Type.Array(
      Type.Object(
        {
          inputs: Type.Record(Name, Type.Union([Scalar, Type.Array(Scalar, { maxItems: 50 })])),
          today: Day,
          result: Type.Union([Type.Literal('true'), Type.Literal('false'), Type.Literal('unknown')]),
        },
        closed,
      ),
      { minItems: 3, maxItems: 50 },
    ),
  },
  closed,
);

export const GroupEntry = Type.Object(
  {
    kind: Type.Literal('group'),
    ...common,
    members: Type.Array(EntryRef, { minItems: 2, maxItems: 50, uniqueItems: true }),
    /** Atomic: its members are released together or not at all, because one alone would mislead. */
    atomic: Type.Boolean(),
  },
  closed,
);

export const DictionaryEntry = Type.Union([ElementEntry, CodelistEntry, MappingEntry, PredicateEntry, GroupEntry]);
export const ENTRY_SCHEMAS = {
  element: ElementEntry,
  codelist: CodelistEntry,
  mapping: MappingEntry,
  predicate: PredicateEntry,
  group: GroupEntry,
} as const;

export type EntryRef = Static<typeof EntryRef>;
export type EntryKind = keyof typeof ENTRY_SCHEMAS;
export type ValueDomain = Static<typeof ValueDomain>;
export type Level = Static<typeof Level>;
export type Scalar = Static<typeof Scalar>;
export type ElementEntry = Static<typeof ElementEntry>;
export type CodelistEntry = Static<typeof CodelistEntry>;
export type MappingStep = Static<typeof MappingStep>;
export type MappingEntry = Static<typeof MappingEntry>;
export type PredicateEntry = Static<typeof PredicateEntry>;
export type GroupEntry = Static<typeof GroupEntry>;
export type DictionaryEntry = ElementEntry | CodelistEntry | MappingEntry | PredicateEntry | GroupEntry;

/** The first part of the release in the global configuration; the entries lie in 16 shards beside it. */
export const DictionaryPart = Type.Object(
  {
    v: Type.Literal(1),
    /** Semantic version of the release as a whole. */
    release: Semver,
    releasedOn: Day,
    entries: Type.Integer({ minimum: 0, maximum: 200_000 }),
  },
  closed,
);
export type DictionaryPart = Static<typeof DictionaryPart>;

/** `id@major` of an entry. */
export function refOf({ id, version }: { id: string; version: string }): EntryRef {
  return `${id}@${version.slice(0, version.indexOf('.'))}`;
}
