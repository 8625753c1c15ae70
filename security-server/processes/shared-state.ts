// What a process beside the first one reads of the server's state: who may connect, maintenance, retention of own
// requests. The administrator changes it in the first process, which then has it read anew here, and answers only when
// that is done (first-process.ts).
import { foldersOf } from '#security-server/data-folder.ts';
import { openRetentionClasses } from '#security-server/retention/classes.ts';
import { openRetentionStoreSqlite } from '#security-server/retention/retention-sqlite.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { openStateSqlite } from '#security-server/state-sqlite.ts';

type SharedState = ConsumerParts['state'] &
  ConsumerParts['retention'] & {
    /** Takes what lies on the disk now. */
    read(): void;
    close(): void;
  };

/** @param folder the server's data folder */
export function openSharedState(folder: string): SharedState {
  const places = foldersOf(folder);
  const open = () => {
    const retention = openRetentionStoreSqlite(places.retention);
    return { state: openStateSqlite(places.state), classes: openRetentionClasses(retention), retention };
  };
  let now = open();
  const end = ({ state, retention }: typeof now) => {
    state.close();
    retention.close();
  };
  return {
    systemsByCertificate: (hash) => now.state.systemsByCertificate(hash),
    connectionRule: (subsystem) => now.state.connectionRule(subsystem),
    connectionRules: () => now.state.connectionRules(),
    maintenance: () => now.state.maintenance(),
    ofClient: (client, service) => now.classes.ofClient(client, service),
    read() {
      const before = now;
      now = open();
      end(before);
    },
    close: () => end(now),
  };
}
