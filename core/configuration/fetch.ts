// Where the files of a configuration come from: a web server, or a folder. Whoever runs it controls what comes; nothing
// here is believed, only capped.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BoundedClient } from '#core/http/client.ts';
import { AccordError } from '#schemas/problems.ts';

interface FetchedFile {
  bytes: Buffer;
  etag?: string;
}

export interface ConfigurationFetch {
  /**
   * One file by its path in the published set. With an ETag of an earlier answer it may be `unchanged`.
   * @throws CONFIGURATION_UNAVAILABLE when there is none, PEER_UNREACHABLE, PEER_TIMEOUT, PEER_BROKE_OFF, RESPONSE_TOO_LARGE
   */
  get(path: string, maxBytes: number, etag?: string): Promise<FetchedFile | 'unchanged'>;
}

/** Files below `base` (http or https, no query). */
export function fetchOverHttp(client: BoundedClient, base: string): ConfigurationFetch {
  const folder = base.endsWith('/') ? base : `${base}/`;
  return {
    async get(path, maxBytes, etag) {
      const answer = await client.request({
        method: 'GET',
        url: new URL(path, folder).href,
        headers: etag === undefined ? [] : [['if-none-match', etag]],
        maxResponseBytes: maxBytes,
      });
      if (answer.status === 304 && etag !== undefined) return 'unchanged';
      if (answer.status !== 200) throw new AccordError('CONFIGURATION_UNAVAILABLE', `${path}: ${answer.status}`);
      const tag = answer.headers.find(([name]) => name.toLowerCase() === 'etag')?.[1];
      return tag === undefined ? { bytes: answer.body } : { bytes: answer.body, etag: tag };
    },
  };
}

/** Files of a folder, e.g. a copy of a published set. */
export function fetchFromFolder(folder: string): ConfigurationFetch {
  return {
    async get(path, maxBytes) {
      try {
        const file = join(folder, path);
        if ((await stat(file)).size > maxBytes) throw new AccordError('RESPONSE_TOO_LARGE', path);
        return { bytes: await readFile(file) };
      } catch (error) {
        if (error instanceof AccordError) throw error;
        throw new AccordError('CONFIGURATION_UNAVAILABLE', path, { cause: error });
      }
    },
  };
}
