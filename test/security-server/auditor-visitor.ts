// A browser without a screen for the auditor's pages: keeps the session's cookie, says where a form comes from, follows nothing.
import { AUDITOR_KEY } from '#scripts/campaign/pair.ts';

export interface Got {
  status: number;
  text: string;
  headers: Headers;
  bytes: Buffer;
}

export class Visitor {
  readonly base: string;
  cookie = '';
  constructor(base: string) {
    this.base = base;
  }

  async get(path: string): Promise<Got> {
    return await this.#got(await fetch(this.base + path, { headers: { cookie: this.cookie }, redirect: 'manual' }));
  }

  async post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Got> {
    const sent = { origin: this.base, cookie: this.cookie, ...headers };
    const body = new URLSearchParams(fields);
    const answer = await fetch(this.base + path, { method: 'POST', headers: sent, body, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
      if (line.startsWith('accord-auditor-') && !line.startsWith('accord-auditor-l'))
        this.cookie = line.split(';', 1)[0] ?? '';
    }
    return await this.#got(answer);
  }

  async signIn(key = AUDITOR_KEY): Promise<Got> {
    return await this.post('/auditor/sign-in', { key, to: '/auditor/log' });
  }

  async csrf(): Promise<string> {
    return /name="csrf" value="([^"]+)"/.exec((await this.get('/auditor/log')).text)?.[1] ?? '';
  }

  async #got(answer: Response): Promise<Got> {
    const bytes = Buffer.from(await answer.arrayBuffer());
    return { status: answer.status, text: bytes.toString(), headers: answer.headers, bytes };
  }
}
