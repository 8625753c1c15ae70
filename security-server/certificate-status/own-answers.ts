// OCSP answers about this server's own certificates: asked for ahead of time, in the background, from the responders that
// the configuration names, so that no exchange waits for one. An answer is asked for again at half of its life; before its
// last quarter ends unrenewed the operator is told. A responder, and who stands before it, controls what it answers.
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource, RegisteredCertificate } from '#core/configuration/snapshot.ts';
import type { BoundedClient } from '#core/http/client.ts';
import type { OcspRules } from '#schemas/configuration.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Trust } from '#security-server/certificate-paths.ts';
import type { KeyRing } from '#security-server/key-ring.ts';
import { countsUntilMs, type HeldAnswer, type HeldAnswers } from './answers.ts';
import { askResponder } from './ask-responder.ts';

export interface OwnStatus {
  certificate: string;
  use: 'sign' | 'client';
  status: 'good' | 'revoked' | 'none';
  /** What the answer was true of: its age counts from here; null without one. */
  thisUpdateMs: number | null;
  /** When it ends to count, without grace; null without one. */
  endsMs: number | null;
}

export interface OwnAnswerParts {
  answers: HeldAnswers;
  configuration: Pick<ConfigurationSource, 'current'>;
  keys: Pick<KeyRing, 'held'>;
  /** This server's registered certificates. */
  registered: () =>
    | {
        signingCertificates: readonly RegisteredCertificate[];
        authenticationCertificates: readonly RegisteredCertificate[];
      }
    | undefined;
  clock: Clock;
  http: Pick<BoundedClient, 'request'>;
  logger: FastifyBaseLogger;
  counted: (of: 'own' | 'peer', outcome: string) => void;
  /** An answer was replaced; keeps it. */
  changed: (mine: readonly HeldAnswer[]) => void;
}

const FIRST_WAIT_MS = 30_000;
const LONGEST_WAIT_MS = 10 * 60_000;
const MAX_OWN = 16;
const MAX_TOLD = 1_000;
const NONE: readonly HeldAnswer[] = [];

interface Own {
  certificate: RegisteredCertificate;
  use: OwnStatus['use'];
}

export class OwnAnswers {
  readonly #parts: OwnAnswerParts;
  readonly #failed = new Map<string, { nextMs: number; waitMs: number; trust: Trust }>();
  readonly #told = new Set<string>();
  #mine: readonly HeldAnswer[] = NONE;
  #looking: Promise<void> | null = null;

  constructor(parts: OwnAnswerParts) {
    this.#parts = parts;
    this.#mine = this.#current();
  }

  /** What is sent to peers; the same array until one changes. */
  mine(): readonly HeldAnswer[] {
    return this.#mine;
  }

  /** The answer that a signature by this certificate goes out with. */
  of(certificate: string): HeldAnswer | null {
    return this.#mine.find((one) => one.certificate === certificate) ?? null;
  }

  /** Asks for what is due. Never rejects for what a responder does. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** One line for each own certificate, for health, metrics and the operator. */
  state(): OwnStatus[] {
    const rules = rulesOf(this.#trust());
    return this.#owned().map(({ certificate: { hash }, use }) => {
      const answer = rules === null ? undefined : this.#parts.answers.of(hash);
      if (rules === null || answer === undefined) {
        return { certificate: hash, use, status: 'none', thisUpdateMs: null, endsMs: null };
      }
      const { status, thisUpdateMs } = answer;
      return { certificate: hash, use, status, thisUpdateMs, endsMs: countsUntilMs(answer, rules.freshnessMs) };
    });
  }

  #trust(): Trust | null {
    try {
      return this.#parts.configuration.current().trust;
    } catch (error) {
      if (isAccordError(error, 'CONFIGURATION_MISSING')) return null;
      throw error;
    }
  }

  #owned(): Own[] {
    const { signing, authentication } = this.#parts.keys.held();
    const held = new Set([...signing, ...authentication].map(({ hash }) => hash));
    const { signingCertificates = [], authenticationCertificates = [] } = this.#parts.registered() ?? {};
    const all: Own[] = [
      ...signingCertificates.map((certificate) => ({ certificate, use: 'sign' as const })),
      ...authenticationCertificates.map((certificate) => ({ certificate, use: 'client' as const })),
    ];
    return all.filter(({ certificate }) => held.has(certificate.hash)).slice(0, MAX_OWN);
  }

  #current(): readonly HeldAnswer[] {
    if (rulesOf(this.#trust()) === null) return NONE;
    return this.#owned().flatMap(({ certificate }) => this.#parts.answers.of(certificate.hash) ?? []);
  }

  async #look(): Promise<void> {
    const trust = this.#trust();
    const rules = rulesOf(trust);
    if (trust !== null && rules !== null) {
      for (const own of this.#owned()) {
        if (this.#isDue(own.certificate, trust, rules)) await this.#ask(own, trust, rules);
        this.#watch(own, rules);
      }
    }
    const now = this.#current();
    if (now.length === this.#mine.length && now.every((one, at) => one === this.#mine[at])) return;
    this.#mine = now;
    this.#parts.changed(now);
  }

  #isDue({ hash }: RegisteredCertificate, trust: Trust, rules: OcspRules): boolean {
    const { clock, answers } = this.#parts;
    const wait = this.#failed.get(hash);
    // Under another trust part there may be another responder.
    if (wait !== undefined && wait.trust === trust && clock.monotonicMs() < wait.nextMs) return false;
    const answer = answers.of(hash);
    if (answer === undefined) return true;
    const lifeMs = countsUntilMs(answer, rules.freshnessMs) - answer.thisUpdateMs;
    return clock.nowMs() >= answer.thisUpdateMs + lifeMs / 2;
  }

  async #ask({ certificate, use }: Own, trust: Trust, rules: OcspRules): Promise<void> {
    const { clock, http, answers, counted, logger } = this.#parts;
    const { hash } = certificate;
    const wait = (waitMs: number) => this.#failed.set(hash, { nextMs: clock.monotonicMs() + waitMs, waitMs, trust });
    try {
      const answer = await askResponder(http, { certificate, use, trust, rules, atMs: clock.nowMs() });
      if (answer === null) return;
      answers.take(answer);
      // The same answer may come again for long, from a responder that makes them in advance.
      wait(FIRST_WAIT_MS);
      counted('own', 'taken');
    } catch (error) {
      if (!isAccordError(error)) throw error;
      wait(Math.min((this.#failed.get(hash)?.waitMs ?? FIRST_WAIT_MS / 2) * 2, LONGEST_WAIT_MS));
      counted('own', 'failed');
      const { code, detail } = error;
      logger.warn({ certificate: hash, code, detail }, 'no OCSP answer for an own certificate');
    }
  }

  /** The last quarter of its life, or none where one is required. */
  #watch({ certificate: { hash }, use }: Own, rules: OcspRules): void {
    const answer = this.#parts.answers.of(hash);
    const nowMs = this.#parts.clock.nowMs();
    if (answer === undefined) {
      if (rules.mode === 'require' && use === 'sign') this.#alarm('OCSP_OWN_MISSING', hash, hash);
      return;
    }
    const untilMs = countsUntilMs(answer, rules.freshnessMs);
    if (answer.status === 'revoked') this.#alarm('OCSP_OWN_REVOKED', answer.hash, hash);
    else if (nowMs > untilMs) this.#alarm('OCSP_OWN_OVER', answer.hash, hash);
    else if (nowMs > untilMs - (untilMs - answer.thisUpdateMs) / 4) this.#alarm('OCSP_OWN_ENDS', answer.hash, hash);
  }

  #alarm(alarm: string, once: string, certificate: string): void {
    const key = `${alarm} ${once}`;
    if (this.#told.has(key)) return;
    if (this.#told.size >= MAX_TOLD) this.#told.clear();
    this.#told.add(key);
    this.#parts.logger.error({ alarm, certificate }, 'alarm of an own OCSP answer');
  }
}

function rulesOf(trust: Trust | null): OcspRules | null {
  const rules = trust?.ocsp;
  return rules === undefined || rules.mode === 'off' ? null : rules;
}
