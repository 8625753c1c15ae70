// Tickets in use: the ones this process made for its peers, and the ones peers sent that were opened here. Opening
// costs a key agreement, so opened tickets are kept under the hash of their exact JWE and the TLS peer until they
// expire; nothing of it is state another node would lack.
import type { KeyObject } from 'node:crypto';
import { sha256 } from '#certs/commitment.ts';
import { importPublicJwk } from '#certs/keys.ts';
import { makeTicket, openTicket, type Ticket } from '#certs/ticket.ts';
import type { Clock } from '#core/clock.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { ServerId } from '#schemas/identifiers.ts';
import { CLOCK_WINDOW_MS, MAX_OPEN_TICKETS_PER_PEER, TICKET_LIFETIME_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

export interface Channels {
  /** A ticket for sending to `peer`, made when the last one is used up. @throws PEER_KEY_MISSING */
  to(peer: ServerEntry): Promise<Ticket>;
  /** The same, when there is one already. */
  ready(peer: ServerEntry): Ticket | undefined;
  /** Opens a ticket that arrived over TLS from `from`. @throws TICKET_REFUSED */
  open(jwe: string, from: ServerId): Promise<Ticket>;
  /** The same, when it was opened before. */
  opened(jwe: string, from: ServerId): Ticket | undefined;
}

/** @param keyFor this server's private encryption keys by kid (RFC 7638 thumbprint) */
export function openChannels(self: ServerId, keyFor: (kid: string) => KeyObject | undefined, clock: Clock): Channels {
  const outgoing = new Map<string, Promise<Ticket>>();
  // By the peer as it stands in the configuration: another entry may have other keys.
  const made = new WeakMap<ServerEntry, Ticket>();
  // By the TLS peer, so that one peer's tickets never push out another's; then by the hash of the JWE.
  const opened = new Map<ServerId, Map<string, Ticket>>();

  async function fresh(peer: ServerEntry): Promise<Ticket> {
    const nowMs = clock.nowMs();
    const newest = peer.encryptionKeys
      .filter((key) => key.notAfterMs > nowMs + TICKET_LIFETIME_MS)
      .sort((a, b) => b.notAfterMs - a.notAfterMs)[0];
    if (newest === undefined) throw new AccordError('PEER_KEY_MISSING', peer.id);
    return makeTicket(self, peer.id, { kid: newest.kid, key: importPublicJwk(newest.jwk, 'enc') }, nowMs);
  }

  /** Half a window of slack, so that no ticket expires between here and the receiver's clock. */
  const isFresh = (ticket: Ticket) => ticket.expiresAtMs > clock.nowMs() + CLOCK_WINDOW_MS;

  function ready(peer: ServerEntry): Ticket | undefined {
    const ticket = made.get(peer);
    return ticket !== undefined && isFresh(ticket) ? ticket : undefined;
  }

  async function to(peer: ServerEntry): Promise<Ticket> {
    const ticket = ready(peer) ?? (await shared(peer));
    made.set(peer, ticket);
    return ticket;
  }

  async function shared(peer: ServerEntry): Promise<Ticket> {
    const kids = peer.encryptionKeys.map((key) => key.kid).join(' ');
    const cacheKey = `${peer.id} ${kids}`;
    const known = outgoing.get(cacheKey);
    if (known !== undefined && isFresh(await known)) return known;
    for (const stale of outgoing.keys()) if (stale.startsWith(`${peer.id} `)) outgoing.delete(stale);
    const making = fresh(peer);
    outgoing.set(cacheKey, making);
    making.catch(() => outgoing.delete(cacheKey));
    return making;
  }

  function openedBefore(jwe: string, from: ServerId): Ticket | undefined {
    const known = opened.get(from)?.get(sha256(jwe));
    return known !== undefined && known.expiresAtMs > clock.nowMs() ? known : undefined;
  }

  async function open(jwe: string, from: ServerId): Promise<Ticket> {
    const known = openedBefore(jwe, from);
    if (known !== undefined) return known;
    const nowMs = clock.nowMs();
    const ticket = await openTicket(jwe, from, self, keyFor, nowMs);
    const ofPeer = opened.get(from) ?? new Map<string, Ticket>();
    opened.set(from, ofPeer);
    for (const [key, { expiresAtMs }] of ofPeer) {
      if (expiresAtMs <= nowMs || ofPeer.size >= MAX_OPEN_TICKETS_PER_PEER) ofPeer.delete(key);
      else break; // oldest first
    }
    ofPeer.set(ticket.hash, ticket);
    return ticket;
  }

  return { to, ready, open, opened: openedBefore };
}
