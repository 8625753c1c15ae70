// A browser as small as it can be: keeps cookies by path and expiry, follows redirects, sends forms from the page it is
// on. Cookies know no ports, so everything on 127.0.0.1 shares one jar, as in a real browser.
interface Cookie {
  name: string;
  value: string;
  path: string;
  attributes: string;
}

export interface Shown {
  status: number;
  url: string;
  headers: Headers;
  text: string;
}

export class Browser {
  cookies: Cookie[] = [];
  /** Every address it was sent to, the last one last. */
  visited: string[] = [];

  cookie(name: string): string | undefined {
    return this.cookies.find((cookie) => cookie.name === name)?.value;
  }

  set(name: string, value: string, path = '/', attributes = ''): void {
    this.cookies = this.cookies.filter((cookie) => cookie.name !== name || cookie.path !== path);
    this.cookies.push({ name, value, path, attributes });
  }

  /** One request, no redirect followed. */
  async send(url: string, init: RequestInit = {}): Promise<Shown> {
    const { pathname } = new URL(url);
    const cookie = this.cookies
      .filter(({ path }) => pathname.startsWith(path))
      .map(({ name, value }) => `${name}=${value}`);
    this.visited.push(url);
    const answer = await fetch(url, {
      redirect: 'manual',
      ...init,
      headers: {
        accept: 'text/html',
        ...(cookie.length > 0 ? { cookie: cookie.join('; ') } : {}),
        ...(init.headers as object),
      },
    });
    for (const line of answer.headers.getSetCookie()) this.#keep(line);
    return { status: answer.status, url, headers: answer.headers, text: await answer.text() };
  }

  /** Opens a page and follows redirects; `stopAt` is a beginning of an address that is not requested any more. */
  async open(url: string, stopAt?: string, init: RequestInit = {}): Promise<Shown> {
    let shown = await this.send(url, init);
    for (let hop = 0; hop < 12 && shown.status >= 300 && shown.status < 400; hop += 1) {
      const next = new URL(shown.headers.get('location') ?? '', shown.url).href;
      if (stopAt !== undefined && next.startsWith(stopAt)) return { ...shown, url: next };
      shown = await this.send(next);
    }
    return shown;
  }

  /** Sends a form as a page of the same origin does. */
  async post(
    url: string,
    form: Record<string, string>,
    stopAt?: string,
    headers: Record<string, string> = {},
  ): Promise<Shown> {
    const body = new URLSearchParams(form);
    return await this.open(url, stopAt, {
      method: 'POST',
      body,
      headers: { origin: new URL(url).origin, 'sec-fetch-site': 'same-origin', ...headers },
    });
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
    const get = (key: string) =>
      attributes.find((one) => one.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1);
    const path = get('path') ?? '/';
    this.set(name, value, path, attributes.join('; '));
    const expires = get('expires');
    if (get('max-age') === '0' || (expires !== undefined && Date.parse(expires) <= Date.parse('1980-01-01'))) {
      this.cookies = this.cookies.filter((cookie) => cookie.name !== name || cookie.path !== path);
    }
  }
}
