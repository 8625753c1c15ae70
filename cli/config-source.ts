// Where a command reads a published configuration from: a folder or a URL, the first of several that can be reached.
import { type ConfigurationFetch, fetchFromFolder, fetchOverHttp } from '#core/configuration/fetch.ts';
import { openClient } from '#core/http/client.ts';
import { isAccordError, PROBLEMS } from '#schemas/problems.ts';

/** Runs with each source in turn until one can be reached. */
export async function fromFirst<T>(
  sources: readonly string[],
  run: (fetch: ConfigurationFetch) => Promise<T>,
): Promise<T> {
  const client = openClient();
  try {
    let failure: unknown;
    for (const source of sources) {
      const fetch = /^https?:/.test(source) ? fetchOverHttp(client, source) : fetchFromFolder(source);
      try {
        return await run(fetch);
      } catch (error) {
        failure = error;
        if (!isAccordError(error) || PROBLEMS[error.code].status !== 503) throw error;
      }
    }
    throw failure;
  } finally {
    await client.close();
  }
}
