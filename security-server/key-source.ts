// Where a running server's keys come from: the data folder in life, something smaller in tests.
import type { ServerKeys } from './key-ring.ts';

export interface KeySource {
  /** Reads all keys and certificates again. @throws KEY_FILE_*, CERTIFICATE_MISSING, CERTIFICATE_KEY_MISMATCH */
  open(): Promise<ServerKeys>;
  /** Destroys the private encryption keys whose time is over, for ever; returns their kids. */
  destroyEnded(nowMs: number): Promise<string[]>;
}
