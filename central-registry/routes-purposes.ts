// Admin API: purposes. Each version is registered once and never changes: receipts and access rights pin its hash. It
// counts when two approvers signed a content that holds it.

import { purposeHashOf } from '#core/configuration/consent-parts.ts';
import { dayAt } from '#policy/calendar.ts';
import { MAX_PART_BYTES } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import { Purpose, PurposesPart } from '#schemas/purpose.ts';
import { Type } from '#schemas/schema-builder.ts';
import { type AdminFrame, idFrom, PageQuery, pageOf, type RegistryContext } from './admin-frame.ts';
import { endingOf, judgePurpose, statesOf } from './purpose-rules.ts';

const closed = { additionalProperties: false };
const PurposePath = Type.Object({ id: Purpose.properties.id }, closed);
const Ending = Type.Object({ until: Purpose.properties.from }, closed);
/** One page, in bytes, however many were asked for. */
const MAX_PAGE_BYTES = 512 * 1024;
/** Name and brackets of the part around them. */
const PART_FRAME_BYTES = 64;

/** Today where the instance is (limit `utcOffsetMinutes`), YYYY-MM-DD. */
export function legalDay({ store, clock }: RegistryContext): string {
  return dayAt(clock.nowMs(), store.limits().utcOffsetMinutes ?? 0);
}

export function addPurposeRoutes(frame: AdminFrame, context: RegistryContext): void {
  const { store, dictionary } = context;
  frame.read({
    method: 'GET',
    url: '/purposes',
    summary: 'Every version of every purpose, ascending by id and version; a page may be shorter than was asked for',
    permission: 'read',
    query: PageQuery,
    read(request) {
      const { after, limit } = pageOf(request);
      const rows = store.consent.purposes(placeOf(after), limit);
      let bytes = 0;
      const fitting = rows.filter((row, at) => {
        bytes += JSON.stringify(row).length;
        return at === 0 || bytes <= MAX_PAGE_BYTES;
      });
      const last = fitting.at(-1);
      const more = rows.length === limit || fitting.length < rows.length;
      return { items: fitting.map(shown), next: more && last ? `${last.id}@${last.version}` : null };
    },
  });
  frame.read({
    method: 'GET',
    url: '/purposes/:id',
    summary: 'One purpose with all its versions, ascending',
    permission: 'read',
    params: PurposePath,
    read: (request) => ({ id: idFrom(request), versions: versionsOf(idFrom(request)).map(shown) }),
  });
  frame.change({
    method: 'POST',
    url: '/purposes',
    summary: 'Register the next version of a purpose, or a new one',
    permission: 'govern',
    body: Purpose,
    change({ body }) {
      const verdict = judgePurpose(body, store.consent.purpose(body.id), dictionary.current());
      if (verdict === 'new') add(body);
      return { status: verdict === 'new' ? 201 : 200, body: shown(body), target: `${body.id}@${body.version}` };
    },
  });
  frame.change({
    method: 'POST',
    url: '/purposes/:id/end',
    summary: 'End a purpose on a day: registers a last version that has no day of its own',
    permission: 'govern',
    params: PurposePath,
    body: Ending,
    change(request) {
      const newest = versionsOf(idFrom(request)).at(-1);
      if (!newest) throw new TypeError('a registered purpose has a version');
      const ending = endingOf(newest, request.body.until, legalDay(context));
      add(ending);
      return { status: 201, body: shown(ending), target: `${ending.id}@${ending.version}` };
    },
  });

  function versionsOf(id: string): Purpose[] {
    const versions = store.consent.purpose(id);
    if (versions.length === 0) throw new AccordError('REGISTRATION_UNKNOWN', id);
    return versions;
  }

  /** With the hash that pins it, and where it stands today. */
  function shown(purpose: Purpose): object {
    const versions = store.consent.purpose(purpose.id);
    const state = statesOf(versions, legalDay(context))[purpose.version - 1];
    return { ...purpose, hash: purposeHashOf(purpose), state };
  }

  /** @throws REGISTRATION_LIMIT when the part would be larger than a server reads */
  function add(purpose: Purpose): void {
    store.consent.addPurpose(purpose, context.clock.nowMs());
    const { versions, bytes } = store.consent.purposesSize();
    const most = PurposesPart.properties.purposes.maxItems ?? 0;
    if (versions > most || bytes > MAX_PART_BYTES - PART_FRAME_BYTES) {
      throw new AccordError('REGISTRATION_LIMIT', `${most} versions, ${MAX_PART_BYTES} bytes`);
    }
  }
}

/** The page's mark: the last version that was shown. */
function placeOf(after: string): { id: string; version: number } {
  if (after === '') return { id: '', version: 0 };
  const [, id = '', version = ''] = /^([a-z0-9.-]{1,64})@([1-9][0-9]{0,3})$/.exec(after) ?? [];
  if (id === '') throw new AccordError('SCHEMA_MISMATCH', 'querystring/after: id@version');
  return { id, version: Number(version) };
}
