// Retention classes of this server, and which class a record of an own request gets (docs/evidence.md, Retention and
// erasure). A class is asked for by one administrator and in force when a second person approved it; the rules of the
// consumer's side are an ordinary change of one administrator, as access rights are. Both are asked for every exchange
// and kept in memory.
import { canonicalJson } from '#schemas/canonical-json.ts';
import { MAX_RETENTION_CLASSES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import {
  areTwoPersons,
  DEFAULT_RETENTION,
  DEFAULT_RETENTION_DAYS,
  type Person,
  type RetentionClass,
} from '#schemas/retention.ts';
import type { ConsumerRule, RetentionDocuments, RetentionStore } from './retention-store.ts';

/** Until two persons say something else. */
const STANDARD: RetentionClass = {
  name: DEFAULT_RETENTION,
  title: 'Records without a class of their own',
  days: DEFAULT_RETENTION_DAYS,
  legalBasis: 'Accord: the longest time where nobody decided another',
  automatic: false,
};
const MAX_RULES = 10_000;

export interface RetentionClasses {
  all(): ReadonlyMap<string, RetentionClass>;
  /** With who asked for it and approved it; null for the default that nobody changed. */
  approvedBy(name: string): { requested: Person; approved: Person } | null;
  changes(): { class: RetentionClass; requested: Person }[];
  /** @throws RETENTION_CLASS_UNKNOWN */
  require(name: string): void;
  /** The class among these that is kept longest; the default when there is none. */
  longest(names: readonly string[]): string;
  /** Waits for a second person. */
  ask(wanted: RetentionClass, by: Person): void;
  /**
   * @param seen what the second person was shown
   * @throws RETENTION_CHANGE_UNKNOWN, also when another change waits by now, SAME_PERSON
   */
  approve(name: string, by: Person, seen: RetentionClass): RetentionClass;
  /** @throws RETENTION_CHANGE_UNKNOWN */
  withdraw(name: string): void;
  /** The class of records of an own request: the client's rule for the service, its rule for all, or the default. */
  ofClient(client: string, service: string): string;
  rules(): ConsumerRule[];
  /** @param retention null takes the rule back @throws RETENTION_CLASS_UNKNOWN, NOT_FOUND */
  setRule(rule: { client: string; service: string | null; retention: string | null }): void;
}

export function openRetentionClasses(store: RetentionStore): RetentionClasses {
  const stored = store.all('class');
  const changes = store.all('change');
  const rules = new Map([...store.all('rule').values()].map((rule) => [ruleKey(rule), rule]));
  let classes = inForce(stored);
  const waiting = (name: string): RetentionDocuments['change'] => {
    const change = changes.get(name);
    if (change === undefined) throw new AccordError('RETENTION_CHANGE_UNKNOWN', name);
    return change;
  };
  const mustBeThere = (name: string): void => {
    if (!classes.has(name)) throw new AccordError('RETENTION_CLASS_UNKNOWN', name);
  };
  const drop = (name: string): void => {
    changes.delete(name);
    store.remove('change', name);
  };
  return {
    all: () => classes,
    approvedBy: (name) => stored.get(name) ?? null,
    changes: () => [...changes.values()],
    require: mustBeThere,
    longest(names) {
      const [first, ...others] = [...new Set(names)];
      if (first === undefined || others.length === 0) return first ?? DEFAULT_RETENTION;
      // A class that nobody defined is never due: nothing is kept longer.
      const daysOf = (name: string) => classes.get(name)?.days ?? Number.POSITIVE_INFINITY;
      return others.reduce((best, name) => (daysOf(name) > daysOf(best) ? name : best), first);
    },
    ask(wanted, by) {
      const isNew = !classes.has(wanted.name) && !changes.has(wanted.name);
      if (isNew && classes.size + changes.size >= MAX_RETENTION_CLASSES) {
        throw new AccordError('REGISTRATION_LIMIT', `${MAX_RETENTION_CLASSES} retention classes`);
      }
      const change = { class: wanted, requested: by };
      store.put('change', wanted.name, change);
      changes.set(wanted.name, change);
    },
    approve(name, by, seen) {
      const change = waiting(name);
      if (canonicalJson(seen) !== canonicalJson(change.class)) {
        throw new AccordError('RETENTION_CHANGE_UNKNOWN', `${name}: another change waits by now`);
      }
      if (!areTwoPersons(change.requested, by)) throw new AccordError('SAME_PERSON');
      const approved = { ...change, approved: by };
      store.put('class', name, approved);
      stored.set(name, approved);
      classes = inForce(stored);
      drop(name);
      return change.class;
    },
    withdraw(name) {
      waiting(name);
      drop(name);
    },
    ofClient(client, service) {
      if (rules.size === 0) return DEFAULT_RETENTION;
      const rule = rules.get(ruleKey({ client, service })) ?? rules.get(ruleKey({ client, service: null }));
      return rule?.retention ?? DEFAULT_RETENTION;
    },
    rules: () => [...rules.values()],
    setRule({ client, service, retention }) {
      const key = ruleKey({ client, service });
      if (retention === null) {
        if (!rules.delete(key)) throw new AccordError('NOT_FOUND', 'there is no such rule');
        store.remove('rule', key);
        return;
      }
      mustBeThere(retention);
      if (!rules.has(key) && rules.size >= MAX_RULES) throw new AccordError('REGISTRATION_LIMIT', `${MAX_RULES} rules`);
      const rule = { client, service, retention };
      store.put('rule', key, rule);
      rules.set(key, rule);
    },
  };
}

function inForce(stored: ReadonlyMap<string, RetentionDocuments['class']>): ReadonlyMap<string, RetentionClass> {
  const approved = [...stored.values()].map((one): [string, RetentionClass] => [one.class.name, one.class]);
  return new Map([[STANDARD.name, STANDARD], ...approved]);
}

/** Identifiers have no spaces. */
function ruleKey({ client, service }: Pick<ConsumerRule, 'client' | 'service'>): string {
  return `${client} ${service ?? '*'}`;
}
