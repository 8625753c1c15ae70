// The citizens and departments of campaign `revocation`: a department files a request, a citizen signs in and agrees on the
// consent service's pages, the department fetches its receipt and asks with it, and one of the two ends it.
import { setTimeout as delay } from 'node:timers/promises';
import type { DevServer } from '#cli/dev/network.ts';
import type { DevResident } from '#consent-service/identity/dev-accounts.ts';
import { systemClock } from '#core/clock.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { openHttpVisitor, type Visitor } from '#scripts/demo/visitor.ts';
import { FIELDS, type Field } from './consent-facts.ts';
import { asAsked } from './consent-registrations.ts';
import { type ASKED, FILING, type RevocationSetting, SERVICE } from './revocation-setting.ts';

/** How the provider could have heard of a withdrawal; `killed`: the consent service died at about that time. */
export type Phase = 'hints' | 'polled' | 'held' | 'killed';

export interface Permission {
  id: string;
  consumer: DevServer;
  level: Level;
  fields: readonly Field[];
  receipt: string;
  phase: Phase;
  /** When whoever ended it clicked, and when the end was confirmed; null while it was not. */
  clickedMs: number | null;
  confirmedMs: number | null;
}

/** What a department heard; `id` is that of the exchange in the provider's log. */
export interface Heard {
  id: string;
  permission: Permission;
  code: string;
  atMs: number;
}

interface Answer {
  id?: string;
  code?: string;
  outcome?: string;
  body?: Record<string, unknown>;
}

const ANSWER_WITHIN_MS = 15_000;

async function lookup(consumer: DevServer, asked: object): Promise<Answer> {
  const answer = await fetch(`${consumer.urls.loopback}/lookups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client: consumer.subsystem, ...asked }),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  return (await answer.json()) as Answer;
}

async function atOffice(consumer: DevServer, method: 'GET' | 'POST', path: string, body?: object) {
  const said = await lookup(consumer, { service: FILING, basis: 'open', method, path, ...(body && { body }) });
  if (said.outcome !== 'ok' || said.body === undefined || 'code' in said.body) {
    throw new Error(`${method} ${path}: ${JSON.stringify(said)}`);
  }
  return said.body;
}

/** Asks with the receipt; what is heard joins `heard`. */
export async function ask(permission: Permission, heard: Heard[]): Promise<string> {
  const { consumer, receipt, fields } = permission;
  try {
    const { id, code } = await lookup(consumer, { receipt, fields: fields.map(asAsked) });
    if (id === undefined || code === undefined) return 'nothing';
    heard.push({ id, permission, code, atMs: systemClock.nowMs() });
    return code;
  } catch {
    return 'nothing';
  }
}

/** One citizen at one browser: one thing after the other. */
export class Citizen {
  readonly resident: DevResident;
  readonly #visitor: Visitor = openHttpVisitor();
  readonly #setting: RevocationSetting;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(resident: DevResident, setting: RevocationSetting) {
    this.resident = resident;
    this.#setting = setting;
  }

  /** Is asked by that department, and agrees. */
  give(consumer: DevServer, asked: (typeof ASKED)[number], phase: Phase): Promise<Permission> {
    return this.#next(async () => {
      const { purpose, fields, level } = asked;
      const elements = fields.map((field) => FIELDS[field].element);
      const subject = { scheme: 'gx.id@1', value: this.resident.id };
      const filed = await atOffice(consumer, 'POST', '/requests', {
        ...{ v: 1, subject, purpose, items: [{ service: SERVICE, elements }] },
        ...{ uses: null, validDays: 30, retentionDays: 30, reason: { zh: '试', en: 'test' } },
      });
      const id = String(filed['id']);
      await this.#visitor.open(String(filed['link']));
      await this.#signIn();
      for (const box of boxesOf(elements)) await this.#visitor.tick(box);
      await this.#visitor.press('Agree to the ticked items');
      await this.#signIn();
      const { receipts } = await atOffice(consumer, 'GET', `/requests/${id}`);
      const receipt = (receipts as { jws: string }[])[0]?.jws;
      if (receipt === undefined) throw new Error(`no receipt: ${await this.#visitor.text()}`);
      return { id, consumer, level, fields, receipt, phase, clickedMs: null, confirmedMs: null };
    });
  }

  /** Withdraws it on the page, or the department gives it up. @throws when nobody confirmed it */
  end(permission: Permission, by: 'citizen' | 'department'): Promise<void> {
    return this.#next(async () => {
      const { id, consumer } = permission;
      if (by === 'citizen') {
        await this.#visitor.open(`${this.#setting.relays.citizen.url}/permissions/${id}`);
        await this.#signIn();
        permission.clickedMs = systemClock.nowMs();
        await this.#visitor.press('Withdraw');
        if (!(await this.#visitor.text()).includes('withdrawn by you')) throw new Error('not confirmed');
      } else {
        permission.clickedMs = systemClock.nowMs();
        await atOffice(consumer, 'POST', `/requests/${id}/revoke`, {});
      }
      permission.confirmedMs = systemClock.nowMs();
    });
  }

  /** Whatever page asks who one is. */
  async #signIn(): Promise<void> {
    const text = await this.#visitor.text();
    if (text.includes('Development') && !text.includes('DEVELOPMENT')) await this.#visitor.press('Development');
    if ((await this.#visitor.text()).includes('DEVELOPMENT')) await this.#visitor.press(this.resident.id);
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(run);
    this.#busy = done.catch(() => {});
    return done;
  }
}

/** Departments that ask without a pause, each time with another of the permissions that are in use. */
export function startLoad(inUse: ReadonlySet<Permission>, heard: Heard[], clients: number, pauseMs: number) {
  let stopping = false;
  const client = async () => {
    while (!stopping) {
      const all = [...inUse];
      const permission = all[Math.floor(Math.random() * all.length)];
      if (permission !== undefined) await ask(permission, heard);
      await delay(pauseMs);
    }
  };
  const running = Array.from({ length: clients }, client);
  return async () => {
    stopping = true;
    await Promise.all(running);
  };
}

/** Labels of the boxes on the page: an amount and its currency are one choice. */
function boxesOf(elements: readonly string[]): string[] {
  const labels = elements.map((element) => element.replace('@1', ''));
  return labels.includes('gx.currency') ? [labels.join(' and ')] : labels;
}
