// Where the files of a configuration come from: a web server, or a folder. Whoever runs it controls what comes; nothing
// here is believed, only capped.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
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
   * @param signal aborted when the caller waits no longer
   * @throws CONFIGURATION_UNAVAILABLE when there is none, PEER_UNREACHABLE, PEER_TIMEOUT, PEER_BROKE_OFF, RESPONSE_TOO_LARGE
   */
  get(path: string, maxBytes: number, etag?: string, signal?: AbortSignal): Promise<FetchedFile | 'unchanged'>;
}

/** Files below `base` (http or https, no query). */
export function fetchOverHttp(client: BoundedClient, base: string): ConfigurationFetch {
  const folder = base.endsWith('/') ? base : `${base}/`;
  return {
    async get(path, maxBytes, etag, signal) {
      const answer = await client.request({
        method: 'GET',
        url: new URL(path, folder).href,
        headers: etag === undefined ? [] : [['if-none-match', etag]],
        maxResponseBytes: maxBytes,
        ...(signal && { signal }),
      });
      if (answer.status === 304 && etag !== undefined) return 'unchanged';
      if (answer.status !== 200) throw new AccordError('CONFIGURATION_UNAVAILABLE', `${path}: ${answer.status}`);
      const tag = answer.headers.find(([name]) => name.toLowerCase() === 'etag')?.[1];
      return tag === undefined ? { bytes: answer.body } : { bytes: answer.body, etag: tag };
    },
  };
}

/** Files of a folder, e.g. a copy of a published set. Whoever made the copy may have put links and devices into it. */
export function fetchFromFolder(folder: string): ConfigurationFetch {
  return {
    async get(path, maxBytes) {
      try {
        return { bytes: await readRegularFile(join(folder, path), maxBytes) };
      } catch (error) {
        if (error instanceof AccordError) throw error;
        throw new AccordError('CONFIGURATION_UNAVAILABLE', path, { cause: error });
      }
    },
  };
}

async function readRegularFile(path: string, maxBytes: number): Promise<Buffer> {
  // Not blocking: opening a pipe would wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new AccordError('CONFIGURATION_UNAVAILABLE', `${path} is no regular file`);
    if (stat.size > maxBytes) throw new AccordError('RESPONSE_TOO_LARGE', path);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** `fetch`, until `timeoutMs` have passed from now on for all files together: nobody holds a refresh by being slow. */
export function withinTime(fetch: ConfigurationFetch, timeoutMs: number): ConfigurationFetch & { end(): void } {
  const controller = new AbortController();
  const over = () => new AccordError('PEER_TIMEOUT', 'the source took too long for one refresh');
  const late = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(over()));
  });
  late.catch(() => {});
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  return {
    async get(path, maxBytes, etag) {
      if (controller.signal.aborted) throw over();
      return Promise.race([fetch.get(path, maxBytes, etag, controller.signal), late]);
    },
    end: () => clearTimeout(timer),
  };
}
