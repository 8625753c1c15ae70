// One lookup between two departments, as their systems see it.
import t from 'tap';
import { CLIENT, openPair as openAnyPair, type PairOptions, SERVICE } from '#scripts/campaign/pair.ts';

async function lookup(url: string, body: unknown): Promise<{ status: number; json: Record<string, unknown> }> {
  const answer = await fetch(`${url}/lookups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

// The same over both forms of the link.
for (const peerLink of ['frames', 'http1'] as const) {
  const openPair = (options: PairOptions = {}) => {
    const [consumer, provider] = [options.consumer, options.provider].map((over) => ({ peerLink, ...over }));
    return openAnyPair({ ...options, ...(consumer && { consumer }), ...(provider && { provider }) });
  };

  t.test(`${peerLink}: a lookup is answered, forwarded byte for byte and logged on both sides`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const url = pair.consumer.urls.loopback as string;
    const { status, json } = await lookup(url, {
      client: CLIENT,
      service: SERVICE,
      path: '/residents/1',
      query: 'a=1&a=2',
    });
    t.equal(status, 200, JSON.stringify(json));
    t.equal(json['outcome'], 'ok');
    t.equal(pair.backend.seen[0]?.url, '/base/residents/1?a=1&a=2');
    // What a reader of JSON would spell otherwise.
    const exact = '{"amount": 650.50, "name":"李"}';
    pair.backend.answer = (_request, _body, response) =>
      response.setHeader('content-type', 'application/json').end(exact);
    const got = await fetch(`${url}/lookups`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client: CLIENT, service: SERVICE, path: '/residents/1' }),
    });
    const text = await got.text();
    t.ok(text.includes(`,"body":${exact},`), text);
    t.match(JSON.parse(text), {
      outcome: 'ok',
      status: 200,
      body: { name: '李' },
      evidence: { log: { answer: Number } },
    });
  });
}
