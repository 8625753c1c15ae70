// A person at a browser, as the story needs one: opens an address, reads, ticks by label, presses buttons by their words.
// Over HTTP with a browser of a hundred lines here, in a real one in visitor-chromium.ts. What it drives are pages of the
// consent service and of the development identity provider.

export interface Visitor {
  /** What drives the pages, for the transcript. */
  readonly by: 'HTTP' | 'Chromium';
  /** Folder of the pictures; null where none are taken. */
  readonly pictures: string | null;
  open(url: string): Promise<void>;
  /** Ticks the box whose label is this. @throws Error when there is none */
  tick(label: string): Promise<void>;
  /** Presses the first button, or follows the first link, whose words contain these. @throws Error when there is none */
  press(words: string): Promise<void>;
  /** What can be read on the page, white space joined. */
  text(): Promise<string>;
  /** How many boxes are ticked. */
  ticked(): Promise<number>;
  /** Keeps a picture of the page, where there is one to keep. */
  picture(name: string): Promise<void>;
  close(): Promise<void>;
}

interface Cookie {
  name: string;
  value: string;
  path: string;
}

interface Shown {
  url: string;
  html: string;
  /** Values of the boxes that were ticked on it. */
  ticked: Set<string>;
}

const MAX_REDIRECTS = 12;

/** A browser without pictures and scripts: cookies, redirects, links, forms. Reads the simple HTML that these pages are. */
export function openHttpVisitor(): Visitor {
  let cookies: Cookie[] = [];
  let page: Shown = { url: 'about:blank', html: '', ticked: new Set() };

  async function go(url: string, form?: URLSearchParams): Promise<void> {
    let target = url;
    let answer = await send(target, form);
    for (let hop = 0; answer.status >= 300 && answer.status < 400; hop += 1) {
      if (hop === MAX_REDIRECTS) throw new Error(`too many redirects at ${target}`);
      target = new URL(answer.headers.get('location') ?? '', target).href;
      answer = await send(target);
    }
    const html = await answer.text();
    if (answer.status >= 400) throw new Error(`${answer.status} at ${new URL(target).pathname}: ${readable(html)}`);
    page = { url: target, html, ticked: new Set() };
  }

  async function send(url: string, form?: URLSearchParams): Promise<Response> {
    const { pathname, origin } = new URL(url);
    // Cookies know no ports: the pages of all services on this address share them, as in every browser.
    const sent = cookies.filter(({ path }) => pathname.startsWith(path)).map(({ name, value }) => `${name}=${value}`);
    const headers = {
      accept: 'text/html',
      'accept-language': 'en',
      ...(sent.length > 0 && { cookie: sent.join('; ') }),
    };
    const fromPage = { origin, 'sec-fetch-site': 'same-origin' };
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: form === undefined ? headers : { ...headers, ...fromPage },
      ...(form !== undefined && { method: 'POST', body: form }),
    });
    for (const line of answer.headers.getSetCookie()) cookies = keep(cookies, line);
    return answer;
  }

  return {
    by: 'HTTP',
    pictures: null,
    open: (url) => go(url),
    async tick(label) {
      const labelled = elements(page.html, 'label').find(({ inner }) => readable(inner) === label);
      const box = elements(page.html, 'input').find(
        ({ attributes }) => attributes['id'] === labelled?.attributes['for'],
      );
      const value = box?.attributes['value'];
      if (labelled === undefined || value === undefined) throw new Error(`no box for ${label} at ${page.url}`);
      page.ticked.add(value);
    },
    async press(words) {
      for (const { attributes, inner } of elements(page.html, 'form')) {
        const button = elements(inner, 'button').find((one) => readable(one.inner).includes(words));
        if (button !== undefined) {
          const form = fieldsOf(inner, page.ticked);
          const { name, value } = button.attributes;
          if (name !== undefined) form.append(name, value ?? '');
          return await go(new URL(attributes['action'] ?? '', page.url).href, form);
        }
      }
      const link = elements(page.html, 'a').find(({ inner }) => readable(inner).includes(words));
      if (link === undefined) throw new Error(`no button and no link “${words}” at ${page.url}`);
      return await go(new URL(link.attributes['href'] ?? '', page.url).href);
    },
    text: async () => readable(page.html),
    ticked: async () =>
      page.ticked.size + elements(page.html, 'input').filter(({ attributes }) => 'checked' in attributes).length,
    picture: async () => {},
    close: async () => {},
  };
}

/** What a browser sends with a form: hidden fields, what is selected, what was ticked. */
function fieldsOf(form: string, ticked: ReadonlySet<string>): URLSearchParams {
  const fields = new URLSearchParams();
  for (const { attributes } of elements(form, 'input')) {
    const { type, name, value = '' } = attributes;
    if (name !== undefined && (type === 'hidden' || (type === 'checkbox' && ticked.has(value))))
      fields.append(name, value);
  }
  for (const { attributes, inner } of elements(form, 'select')) {
    const options = elements(inner, 'option');
    const chosen = options.find((option) => 'selected' in option.attributes) ?? options[0];
    fields.append(attributes['name'] ?? '', chosen?.attributes['value'] ?? '');
  }
  return fields;
}

interface Element {
  attributes: Record<string, string>;
  inner: string;
}

/** Elements of one name that do not nest. */
function elements(html: string, name: string): Element[] {
  const isVoid = name === 'input';
  const pattern = new RegExp(
    `<${name}((?:\\s+[a-z-]+(?:="[^"]*")?)*)\\s*>${isVoid ? '' : `([\\s\\S]*?)</${name}>`}`,
    'g',
  );
  return [...html.matchAll(pattern)].map(([, attributes = '', inner = '']) => ({
    attributes: Object.fromEntries(
      [...attributes.matchAll(/([a-z-]+)(?:="([^"]*)")?/g)].map(([, key = '', value = '']) => [key, unescaped(value)]),
    ),
    inner,
  }));
}

/** Text without tags. */
function readable(html: string): string {
  const body = html.replace(/<head>[\s\S]*?<\/head>/, '').replace(/<[^>]*>/g, ' ');
  return unescaped(body).replace(/\s+/g, ' ').trim();
}

function unescaped(text: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"' };
  return text.replace(/&(?:#(\d+)|(amp|lt|gt|quot));/g, (_, code: string | undefined, name: string | undefined) =>
    code === undefined ? (named[name ?? ''] ?? '') : String.fromCodePoint(Number(code)),
  );
}

function keep(cookies: readonly Cookie[], line: string): Cookie[] {
  const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
  const get = (name: string) =>
    attributes.find((one) => one.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
  const at = pair.indexOf('=');
  const cookie = { name: pair.slice(0, at), value: pair.slice(at + 1), path: get('path') ?? '/' };
  const others = cookies.filter(({ name, path }) => name !== cookie.name || path !== cookie.path);
  const isOver = get('max-age') === '0' || /^Thu, 01 Jan 1970/.test(get('expires') ?? '');
  return isOver ? others : [...others, cookie];
}
