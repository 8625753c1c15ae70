// The expressions of predicates: the Common Expression Language (CEL) narrowed to what a yes-or-no question about a few
// values needs. They are written by the dictionary's editors and approved with its release; the rules here are checked
// before that, and again whenever a server compiles one. Everything not on these lists is refused: no matches() (its
// regular expressions can run for ever), no cel.bind (it can double a text with every step), no loop inside a loop, no
// number but 0 and 1 and no text with a digit (limits belong into `thresholds`, where diff and approvers see them).
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { ageInYears, daysBetween } from '#policy/calendar.ts';
import type { PredicateEntry } from '#schemas/dictionary-entry.ts';

export interface ExpressionFailure {
  code:
    | 'PRED_SYNTAX'
    | 'PRED_TOO_LARGE'
    | 'PRED_NAME_RESERVED'
    | 'PRED_UNDECLARED'
    | 'PRED_FUNCTION'
    | 'PRED_NESTED_LOOP'
    | 'PRED_LITERAL_THRESHOLD'
    | 'PRED_INPUT_UNUSED'
    | 'PRED_TYPE';
  detail: string;
}

export interface Expression {
  /** Evaluates it over the inputs, `thresholds` and `today`; a name that is not given is an error where it is used. */
  run: (values: Record<string, unknown>) => unknown;
  /** Inputs that the expression itself compares with null: it knows what their absence means. */
  nullable: ReadonlySet<string>;
}

/** Far more than a question takes; with lists of at most MAX_INPUT_LIST one evaluation stays below a millisecond. */
const LIMITS = { maxAstNodes: 120, maxDepth: 24, maxListElements: 32, maxMapEntries: 1, maxCallArguments: 4 };
/** Values of one input (an element under arrays); with more the answer is unknown. */
export const MAX_INPUT_LIST = 200;

const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'filter']);
const FUNCTIONS: ReadonlySet<string> = new Set([
  ...[
    'ageInYears',
    'daysBetween',
    'first',
    'latest',
    'values',
    'unknown',
    'size',
    'contains',
    'startsWith',
    'endsWith',
  ],
  ...LOOPS,
]);
const RESERVED: ReadonlySet<string> = new Set(['thresholds', 'today', 'cel', 'optional', 'dyn', 'type', ...FUNCTIONS]);

// Our functions throw for what they cannot answer: the library makes that an error, and the verdict `unknown`.
const environment = new Environment({
  unlistedVariablesAreDyn: false,
  homogeneousAggregateLiterals: false,
  limits: LIMITS,
})
  .registerVariable('thresholds', 'map<string, dyn>')
  .registerVariable('today', 'string')
  .registerFunction('ageInYears(string, string): dyn', (birthDate: string, day: string) =>
    answered(ageInYears(birthDate, day)),
  )
  .registerFunction('daysBetween(string, string): dyn', (from: string, until: string) =>
    answered(daysBetween(from, until)),
  )
  .registerFunction('first(dyn): dyn', (value: unknown) => answered(Array.isArray(value) ? value[0] : value))
  .registerFunction('values(dyn): list<dyn>', (value: unknown) => (Array.isArray(value) ? value : [answered(value)]))
  .registerFunction('latest(dyn, dyn): dyn', latest)
  .registerFunction('unknown(): dyn', () => answered(null));

/** The expression ready to run, with everything that is wrong with it; it runs only when nothing is. */
export function compileExpression(entry: Pick<PredicateEntry, 'inputs' | 'thresholds' | 'expression'>): {
  expression: Expression | null;
  failures: ExpressionFailure[];
} {
  const own = environment.clone();
  const inputs = Object.keys(entry.inputs);
  for (const name of inputs) {
    if (RESERVED.has(name)) return refused({ code: 'PRED_NAME_RESERVED', detail: name });
    try {
      own.registerVariable(name, 'dyn');
    } catch {
      return refused({ code: 'PRED_NAME_RESERVED', detail: name });
    }
  }
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = own.parse(entry.expression);
  } catch (error) {
    const tooLarge = codeOf(error) === 'limit_exceeded';
    return refused({ code: tooLarge ? 'PRED_TOO_LARGE' : 'PRED_SYNTAX', detail: summaryOf(error) });
  }
  const seen: Seen = { used: new Set(), nullable: new Set(), failures: [] };
  const known = new Set([...inputs, 'today']);
  walk(parsed.ast, { known, thresholds: new Set(Object.keys(entry.thresholds)), inLoop: false }, seen);
  for (const name of inputs) {
    if (!seen.used.has(name)) seen.failures.push({ code: 'PRED_INPUT_UNUSED', detail: name });
  }
  if (seen.failures.length === 0) {
    const { valid, type, error } = parsed.check();
    if (!valid) seen.failures.push({ code: 'PRED_TYPE', detail: summaryOf(error) });
    else if (type !== 'bool' && type !== 'dyn') seen.failures.push({ code: 'PRED_TYPE', detail: `it is a ${type}` });
  }
  if (seen.failures.length > 0) return { expression: null, failures: seen.failures };
  return { expression: { run: (values) => parsed(values), nullable: seen.nullable }, failures: [] };
}

interface Scope {
  /** Variables that may stand here: inputs, `today`, and the variable of a loop. */
  known: ReadonlySet<string>;
  thresholds: ReadonlySet<string>;
  inLoop: boolean;
}

interface Seen {
  used: Set<string>;
  nullable: Set<string>;
  failures: ExpressionFailure[];
}

/** Judges one node and those below it; the parser's limits bound both depth and number. */
function walk(node: ASTNode, scope: Scope, seen: Seen): void {
  switch (node.op) {
    case 'value':
      judgeLiteral(node.args, seen);
      return;
    case 'id':
      seen.used.add(node.args);
      if (!scope.known.has(node.args)) seen.failures.push({ code: 'PRED_UNDECLARED', detail: node.args });
      return;
    case '.':
      judgeThreshold(node.args[0], node.args[1], scope, seen);
      return;
    case 'call':
      judgeCall(node.args[0], node.args[1], scope, seen);
      return;
    case 'rcall':
      walk(node.args[1], scope, seen);
      judgeCall(node.args[0], node.args[2], scope, seen);
      return;
    case '==':
    case '!=':
      for (const [one, other] of [node.args, [node.args[1], node.args[0]]] as const) {
        if (one.op === 'id' && other.op === 'value' && other.args === null) seen.nullable.add(one.args);
      }
      break;
    case 'map':
    case '.?':
    case '[?]':
      seen.failures.push({ code: 'PRED_FUNCTION', detail: node.op });
      return;
    default:
      break;
  }
  for (const part of Array.isArray(node.args) ? node.args : [node.args]) {
    if (isNode(part)) walk(part, scope, seen);
  }
}

function judgeLiteral(value: unknown, { failures }: Seen): void {
  if (value === null || typeof value === 'boolean') return;
  if (typeof value === 'string' ? !/\p{N}/u.test(value) : value === 0n || value === 1n || value === 0 || value === 1)
    return;
  failures.push({ code: 'PRED_LITERAL_THRESHOLD', detail: String(value).slice(0, 40) });
}

/** The only fields there are: `thresholds.name`, for a name that the entry declares. */
function judgeThreshold(owner: ASTNode, name: string, scope: Scope, { failures }: Seen): void {
  if (owner.op !== 'id' || owner.args !== 'thresholds') failures.push({ code: 'PRED_UNDECLARED', detail: `.${name}` });
  else if (!scope.thresholds.has(name)) failures.push({ code: 'PRED_UNDECLARED', detail: `thresholds.${name}` });
}

function judgeCall(name: string, args: ASTNode[], scope: Scope, seen: Seen): void {
  if (!FUNCTIONS.has(name)) {
    seen.failures.push({ code: 'PRED_FUNCTION', detail: name });
    return;
  }
  const [variable, ...rest] = args;
  if (!LOOPS.has(name)) {
    for (const argument of args) walk(argument, scope, seen);
  } else if (scope.inLoop) {
    seen.failures.push({ code: 'PRED_NESTED_LOOP', detail: name });
  } else if (variable?.op !== 'id' || RESERVED.has(variable.args) || scope.known.has(variable.args)) {
    seen.failures.push({ code: 'PRED_NAME_RESERVED', detail: `the variable of ${name}` });
  } else {
    const inside = { ...scope, known: new Set([...scope.known, variable.args]), inLoop: true };
    for (const argument of rest) walk(argument, inside, seen);
  }
}

/** The value that stands beside the greatest key: `latest(income, year)`; both are one value or lists of one length. */
function latest(values: unknown, keys: unknown): unknown {
  if (!Array.isArray(values) || !Array.isArray(keys))
    return Array.isArray(values) || Array.isArray(keys) ? answered(null) : answered(values);
  if (values.length !== keys.length) return answered(null);
  let best = -1;
  for (const [index, key] of keys.entries()) {
    if (typeof key !== 'number' && typeof key !== 'string') return answered(null);
    if (typeof key !== typeof keys[0]) return answered(null);
    if (best === -1 || key > keys[best]) best = index;
    else if (key === keys[best]) return answered(null);
  }
  return answered(values[best]);
}

function answered<T>(value: T): NonNullable<T> {
  if (value === null || value === undefined) throw new RangeError('there is no answer');
  return value;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

function refused(failure: ExpressionFailure): { expression: null; failures: ExpressionFailure[] } {
  return { expression: null, failures: [failure] };
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function summaryOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'summary' in error
    ? String(error.summary).slice(0, 200)
    : 'syntax';
}
