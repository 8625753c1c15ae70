// The short form of campaign `paths`, and once with each of several worse parts put in.
import { posix } from 'node:path';
import t from 'tap';
import type { BoundedClient } from '#core/http/client.ts';
import { isAccordError } from '#schemas/problems.ts';
import { type BrokenPaths, paths } from '#scripts/campaign/paths.ts';
import { readTarget } from '#security-server/xroad/target.ts';

const SEED = 7;

t.test('paths: what is decided on is what the backend receives', async (t) => {
  const { size, failures, found, sockets, forwarded, refused, denied } = await paths.run({ size: 2_000, seed: SEED });
  t.match({ size, failures, sockets }, { size: 2_000, failures: 0, sockets: 200 }, found.join('\n'));
  for (const [name, count] of Object.entries({ forwarded, refused, denied }))
    t.ok(Number(count) > 200, `${name} ${count}`);
});

/** A client that writes another path than it was given. */
function joining(join: (path: string) => string): BrokenPaths {
  return {
    backends: (real): BoundedClient => ({
      request: (request) => real.request({ ...request, path: join(request.path ?? '') }),
      close: () => real.close(),
    }),
  };
}

/** A reader that takes the refused for whole. */
const careless: typeof readTarget = (target) => {
  try {
    return readTarget(target);
  } catch (error) {
    if (!isAccordError(error, 'PATH_REFUSED')) throw error;
    const [, path = '', query = null] = /^\/r1(?:\/[^/?]+){5}(\/[^?]*)(?:\?(.*))?$/.exec(target) ?? [];
    if (!/^[\x21-\x7e]*$/.test(path + (query ?? ''))) throw error;
    return { service: 'DEV/GOV/2002/provider/echo', path, query };
  }
};

t.test('paths finds worse parts', async (t) => {
  const worse: [string, BrokenPaths][] = [
    [
      'a URL is made of it',
      joining((path) => new URL(path, 'http://h').href.slice('http://h'.length).replace(/'/g, '%27')),
    ],
    ['escapes in capitals', joining((path) => path.replaceAll(/%[0-9a-f]{2}/g, (one) => one.toUpperCase()))],
    ['needless escapes undone', joining((path) => path.replaceAll('%61', 'a').replaceAll(/%7e/gi, '~'))],
    ['slashes at the end dropped', joining((path) => path.replace(/\/(?=\?|$)/, ''))],
    ['an empty query dropped', joining((path) => path.replace(/\?$/, ''))],
    ['normalised', joining((path) => posix.normalize(path.replaceAll(/;[^/?]*/g, '')))],
    ['nothing is refused', { readTarget: careless }],
    ['another spelling is decided on', { readTarget: (target) => readTarget(target.replace('%61', 'a')) }],
  ];
  for (const [name, broken] of worse) {
    // The first also over the two servers.
    const size = name === worse[0]?.[0] ? 500 : 300;
    t.ok((await paths.run({ size, seed: SEED, broken })).failures > 0, name);
  }
});
