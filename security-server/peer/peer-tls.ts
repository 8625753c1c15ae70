// With which keys and pin a peer is connected to; one object per peer, because connections are shared between messages that
// pass the same one. The configuration says which certificates a peer has; the peer which one it shows.
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { ClientTls } from '#core/http/connect.ts';
import { type TlsIdentity, tlsClientOptions } from '#core/http/mtls.ts';

/**
 * @param identity this server's TLS identity now; connections of an earlier one are not used again
 * @param isRegistered whether this hash is a registered, trusted TLS certificate of that server, asked every time
 */
export function openPeerTls(
  identity: () => TlsIdentity,
  isRegistered: (peer: string, certificateHash: string) => boolean,
): (peer: ServerEntry) => ClientTls {
  const tls = new Map<string, ClientTls>();
  let made: TlsIdentity | undefined;
  return (peer) => {
    const current = identity();
    if (current !== made) tls.clear();
    made = current;
    let options = tls.get(peer.id);
    if (options === undefined) {
      options = tlsClientOptions(current, (hash) => isRegistered(peer.id, hash));
      tls.set(peer.id, options);
    }
    return options;
  };
}
