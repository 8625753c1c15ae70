// The name of a server's message log: C2SP origins are schema-less URLs, and this one says whose log it is. A log that
// cannot go on is followed by one with a number (`accord log new-origin`); the data folder knows which one it is.
import { join } from 'node:path';
import { originNumber, originOfFolder } from '#core/log/origin.ts';
import { AccordError } from '#schemas/problems.ts';

/** Where the log, its last checkpoint and the keys of its sealed records lie in a data folder. */
export const LOG_PLACES = { log: 'log', recordKeys: 'record-keys', checkpointFile: 'checkpoint.txt' } as const;

/** A server's first origin. */
export function logOrigin(serverId: string): string {
  return `accord/${serverId}`;
}

/** The origin of the log in a data folder; the first one where there is none yet. @throws LOG_ORIGIN_WRONG for another's */
export function currentLogOrigin(serverId: string, dataFolder: string): string {
  const first = logOrigin(serverId);
  const place = join(dataFolder, LOG_PLACES.log);
  const found = originOfFolder(place, join(dataFolder, LOG_PLACES.checkpointFile)) ?? first;
  if (originNumber(found).base !== first) throw new AccordError('LOG_ORIGIN_WRONG', `it is ${found}`);
  return found;
}
