// A file of the configuration that is kept on this disk. Whoever can write into its folder controls it.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { AccordError } from '#schemas/problems.ts';

/**
 * Its bytes; undefined when it is not there. No link is followed, and nothing but a file is waited for.
 * @throws CONFIGURATION_CACHE_CORRUPT when it is larger, or no file
 */
export function readKept(path: string, maxBytes: number): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > maxBytes) throw new AccordError('CONFIGURATION_CACHE_CORRUPT', path);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}
