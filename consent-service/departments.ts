// A citizen's questions, carried to the departments (schemas/accesses.ts): who looked, to one service of every subsystem that
// has services with personal data; and that a value is wrong, to the one it came from. Each takes the question only with the
// citizen's own ID token that was made for it. What they answer is checked for its form and for being about themselves;
// the rest is theirs. Answers are handed to the caller and kept nowhere here.
import { randomBytes } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSnapshot, ConfigurationSource } from '#core/configuration/snapshot.ts';
import {
  ACCESSES_PATH,
  type Access,
  type AccessesQuestion,
  CITIZEN_DOUBTS_PATH,
  checkAccesses,
  type DoubtQuestion,
} from '#schemas/accesses.ts';
import { checkDoubtStatus, type DoubtStatus } from '#schemas/doubt.ts';
import { memberOf, subsystemOfService } from '#schemas/identifiers.ts';
import type { JsonValue } from '#schemas/json.ts';
import {
  ACCESS_KEPT_DAYS,
  ASKING_TIMEOUT_MS,
  CITIZEN_QUESTION_LIFETIME_MS,
  DEPARTMENT_ANSWER_TIMEOUT_MS,
  MAX_DEPARTMENTS_AT_ONCE,
  MAX_QUESTIONS_UNDER_WAY,
} from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { OwnAnswer, OwnServer } from './own-server.ts';

/** Why a department's answer is not there. */
export interface NoAnswer {
  /** `away`: nobody answered in time; `refused`: with this code; `malformed`: what came is no answer. */
  why: 'away' | 'refused' | 'malformed';
  code: string;
}

interface Department {
  subsystem: string;
  /** Of the member, as registered. */
  name: string;
  /** Any of its services: through it its server is reached. */
  service: string;
}

export interface AccessesAnswer {
  question: AccessesQuestion;
  /** Ascending by subsystem; `hasMore`: it has older ones than it sent. */
  departments: (Department & ({ answered: true; hasMore: boolean } | ({ answered: false } & NoAnswer)))[];
  /** Of all departments, newest first. */
  accesses: Access[];
  /** Reports of the citizen, newest first. */
  doubts: DoubtStatus[];
}

export interface Departments {
  /** @param days to look back; null for as long as accesses are kept */
  accessesQuestion(days: number | null): AccessesQuestion;
  doubtQuestion(about: Pick<DoubtQuestion, 'service' | 'exchange' | 'element' | 'proposed' | 'note'>): DoubtQuestion;
  /** Takes ASKING_TIMEOUT_MS at most; a department that fails does not fail the others. @throws SERVER_BUSY */
  askAccesses(question: AccessesQuestion, idToken: string): Promise<AccessesAnswer>;
  /** @throws SERVER_BUSY */
  reportDoubt(question: DoubtQuestion, idToken: string): Promise<DoubtStatus | NoAnswer>;
}

const DAY_MS = 86_400_000;

export interface DepartmentsOptions {
  server: OwnServer;
  configuration: ConfigurationSource;
  clock: Clock;
  /** Subsystem of the consent service. */
  self: string;
}

export function openDepartments({ server, configuration, clock, self }: DepartmentsOptions): Departments {
  let underWay = 0;
  const asking = () =>
    ({ v: 1, asker: self, atMs: clock.nowMs(), random: randomBytes(32).toString('base64url') }) as const;

  async function counted<T>(work: () => Promise<T>): Promise<T> {
    if (underWay >= MAX_QUESTIONS_UNDER_WAY) throw new AccordError('SERVER_BUSY', 'questions of citizens');
    underWay += 1;
    try {
      return await work();
    } finally {
      underWay -= 1;
    }
  }

  return {
    accessesQuestion(days) {
      const about = asking();
      const fromMs = Math.max(0, about.atMs - (days ?? ACCESS_KEPT_DAYS) * DAY_MS);
      // Also what happens while the person signs in, and under clocks that are a little ahead.
      return { ...about, kind: 'accesses', fromMs, untilMs: about.atMs + CITIZEN_QUESTION_LIFETIME_MS };
    },
    doubtQuestion: (about) => ({ ...asking(), kind: 'doubt', path: null, ...about }),
    askAccesses: (question, idToken) =>
      counted(async () => {
        const departments = departmentsOf(configuration.current(), self);
        const untilMs = clock.monotonicMs() + ASKING_TIMEOUT_MS;
        const answers = await eachOf(departments, async (department) => {
          const timeoutMs = Math.min(DEPARTMENT_ANSWER_TIMEOUT_MS, untilMs - clock.monotonicMs());
          if (timeoutMs <= 0) return { why: 'away', code: 'PEER_TIMEOUT' } as const;
          const body = { question, idToken } as unknown as JsonValue;
          return await answered(server.ask(department.service, ACCESSES_PATH, body, timeoutMs), (value) =>
            ownAccesses(checkAccesses(value), department.subsystem),
          );
        });
        return merged(question, departments, answers);
      }),
    reportDoubt: (question, idToken) =>
      counted(() => {
        const body = { question, idToken } as unknown as JsonValue;
        const asked = server.ask(question.service, CITIZEN_DOUBTS_PATH, body, DEPARTMENT_ANSWER_TIMEOUT_MS);
        return answered(asked, (value) => {
          const doubt = checkDoubtStatus(value);
          const { service, exchange, element } = question;
          if (doubt.service !== service || doubt.exchange !== exchange || doubt.element !== element) {
            throw new AccordError('SCHEMA_MISMATCH', 'another report');
          }
          return doubt;
        });
      }),
  };
}

/** One service of each subsystem that has services with personal data, but for the consent service itself. */
function departmentsOf(snapshot: ConfigurationSnapshot, self: string): Department[] {
  const found = new Map<string, Department>();
  for (const { id: service, personalData } of snapshot.services()) {
    const subsystem = subsystemOfService(service);
    if (!personalData || subsystem === self || found.has(subsystem)) continue;
    const member = memberOf(subsystem);
    found.set(subsystem, { subsystem, service, name: snapshot.memberName(member) ?? member });
  }
  return [...found.values()].toSorted((a, b) => (a.subsystem < b.subsystem ? -1 : 1));
}

/** A department speaks for its own services only. @throws SCHEMA_MISMATCH */
function ownAccesses(answer: ReturnType<typeof checkAccesses>, subsystem: string): ReturnType<typeof checkAccesses> {
  const services = [...answer.accesses, ...answer.doubts].map(({ service }) => service);
  if (services.some((service) => subsystemOfService(service) !== subsystem)) {
    throw new AccordError('SCHEMA_MISMATCH', 'an access to the service of another department');
  }
  return answer;
}

async function answered<T>(asked: Promise<OwnAnswer>, read: (body: JsonValue) => T): Promise<T | NoAnswer> {
  try {
    const answer = await asked;
    return answer.kind === 'refused' ? failed(answer.code) : read(answer.body);
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return failed(error.code);
  }
}

const AWAY =
  /^(?:PEER_|PROVIDER_(?:UNREACHABLE|BUSY|UNKNOWN)|SERVER_|LOG_|CONFIGURATION_|OUTCOME_UNKNOWN|OUTCOME_VOID)/;

function failed(code: string): NoAnswer {
  if (AWAY.test(code)) return { why: 'away', code };
  return { why: /^(?:SCHEMA_MISMATCH|JSON_)/.test(code) ? 'malformed' : 'refused', code };
}

function merged(
  question: AccessesQuestion,
  departments: readonly Department[],
  answers: readonly (ReturnType<typeof checkAccesses> | NoAnswer)[],
): AccessesAnswer {
  const fine = answers.flatMap((answer) => ('why' in answer ? [] : [answer]));
  return {
    question,
    departments: departments.map((department, at) => {
      const answer = answers[at] ?? failed('PEER_TIMEOUT');
      return 'why' in answer
        ? { ...department, answered: false, ...answer }
        : { ...department, answered: true, hasMore: answer.hasMore };
    }),
    accesses: fine.flatMap(({ accesses }) => accesses).toSorted((a, b) => b.atMs - a.atMs),
    doubts: fine.flatMap(({ doubts }) => doubts).toSorted((a, b) => b.createdAtMs - a.createdAtMs),
  };
}

/** The results in the order of `all`, a few at a time. */
async function eachOf<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < all.length; at = next++) results[at] = await work(all[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(MAX_DEPARTMENTS_AT_ONCE, all.length) }, lane));
  return results;
}
