// What citizens are told without asking (schemas/notice.ts): a department answered about them on an emergency. Departments'
// servers bring the notices; a department can tell only of its own services. They lie beside the records, the identifier
// sealed and found by a keyed tag, until they are 400 days old; the person reads and puts away each once.
import { createHash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import {
  MAX_NOTICES_A_DAY,
  MAX_NOTICES_A_DAY_OF_PERSON,
  MAX_NOTICES_SHOWN,
  NOTICE_KEPT_DAYS,
} from '#schemas/limits.ts';
import type { EmergencyNotice } from '#schemas/notice.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Person } from './consents.ts';
import { openPeople } from './people.ts';
import type { ConsentStore } from './store.ts';

const DAY_MS = 86_400_000;

export interface UnreadNotice {
  id: string;
  notice: EmergencyNotice;
}

export interface EmergencyNotices {
  /**
   * Durable when it resolves; again is the same.
   * @param provider subsystem whose server brings it
   * @throws NOTICE_REFUSED, NOTICE_LIMIT, CONSENT_STORE_FAILED
   */
  take(provider: string, notice: EmergencyNotice): Promise<void>;
  /** The newest, at most 20. */
  unread(person: Person): Promise<UnreadNotice[]>;
  countUnread(person: Person): Promise<number>;
  /** The person has read it; nothing happens to one of somebody else. */
  putAway(person: Person, id: string): Promise<void>;
  /** What is over its time. */
  forget(): Promise<void>;
}

export function openEmergencyNotices(store: ConsentStore, storageKey: Buffer, clock: Clock): EmergencyNotices {
  const people = openPeople(storageKey);
  const tagsOf = ({ subjects }: Person) => subjects.map(people.tag);
  let last: Promise<unknown> = Promise.resolve();

  async function take(provider: string, notice: EmergencyNotice): Promise<void> {
    if (subsystemOfService(notice.service) !== provider) throw new AccordError('NOTICE_REFUSED', notice.service);
    const subject = people.tag(notice.subject);
    // Other departments choose numbers of their own: none can take the place of this one.
    const id = createHash('sha256').update(`${provider} ${notice.exchange} ${subject}`).digest('base64url');
    if (await store.hasNotice(id)) return;
    const { all, person } = await store.noticesSince(provider, subject, clock.nowMs() - DAY_MS);
    if (all >= MAX_NOTICES_A_DAY || person >= MAX_NOTICES_A_DAY_OF_PERSON) throw new AccordError('NOTICE_LIMIT');
    const sealed = people.seal(id, 'notice', notice);
    await store.takeNotice({ id, provider, subject, sealed, takenAtMs: clock.nowMs() });
  }

  return {
    take(provider, notice) {
      // One after the other: what is counted is what is there.
      const mine = last.then(() => take(provider, notice));
      last = mine.catch(() => {});
      return mine;
    },
    async unread(person) {
      const rows = await store.unreadNotices(tagsOf(person), MAX_NOTICES_SHOWN);
      return rows.map(({ id, sealed }) => {
        const notice = people.openNotice(id, sealed);
        if (notice === null) throw new AccordError('CONSENT_RECORDS_DAMAGED', `a notice does not open: ${id}`);
        return { id, notice };
      });
    },
    countUnread: (person) => store.countUnread(tagsOf(person)),
    putAway: (person, id) => store.readNotice(id, tagsOf(person), clock.nowMs()),
    forget: () => store.forgetNotices(clock.nowMs() - NOTICE_KEPT_DAYS * DAY_MS),
  };
}
