// A certificate of destruction stands for a context and a body that are no longer there. (Form: core/retention.)
import type { LogEntry } from '#schemas/log-entry.ts';
import type { PackConfiguration } from './check-configuration.ts';
import type { PackFiles } from './check-message.ts';
import { PackGap } from './finding.ts';
import type { MessageName, PackHead } from './layout.ts';

/** @throws PackFinding DESTRUCTION_WRONG */
export function checkDestruction(
  _files: PackFiles,
  name: MessageName,
  _head: PackHead,
  _entry: LogEntry,
  _configuration: PackConfiguration,
): void {
  throw new PackGap('CONTENT_MISSING', name);
}
