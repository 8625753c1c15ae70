// The routes of the auditor's pages behind the sign-in: search, one exchange, a record that is opened, export, the log.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AccordError } from '#schemas/problems.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { readCriteria } from './criteria.ts';
import type { Examined } from './examine.ts';
import { exchangePage, type FormFault } from './exchange-page.ts';
import { languageOf } from './language.ts';
import { logPage } from './log-page.ts';
import { type AuditorParts, packSigner, readForm, requireSession, show } from './page-parts.ts';
import { recordPage } from './record-page.ts';
import { searchPage } from './search-page.ts';

const MAX_ID_CHARS = 128;
const MAX_PEER_CHARS = 512;
const REASON = { min: 3, max: 200 } as const;

export function addRoutes(app: FastifyInstance, parts: AuditorParts): void {
  app.get('/auditor', async (request, reply) => {
    const read = readCriteria(request.query as Record<string, unknown>);
    const { criteria, before, faults, isAsked } = read;
    const result = isAsked && faults.length === 0 ? await parts.thread.search({ criteria, before }) : null;
    if (faults.length > 0) reply.code(400);
    return show(parts, request, reply, searchPage(languageOf(request), read, result));
  });
  app.get('/auditor/exchange', async (request, reply) => {
    const { id, peer } = request.query as Record<string, unknown>;
    const asked = { id: asText(id, MAX_ID_CHARS), peer: peer === undefined ? null : asText(peer, MAX_PEER_CHARS) };
    return await showExchange(parts, request, reply, { ...asked, fault: null });
  });
  addRecordRoute(app, parts);
  addExportRoute(app, parts);
  addLogRoutes(app, parts);
}

function addRecordRoute(app: FastifyInstance, parts: AuditorParts): void {
  const { server, trail } = parts;
  app.post('/auditor/record', async (request, reply) => {
    const { session, fields } = readForm(parts, request, { id: MAX_ID_CHARS, seq: 15, reason: 1_000 });
    const { id = '', seq: text = '', reason } = fields;
    const seq = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    const [record] = seq < 0 ? [] : server.log.read(seq, 1);
    if (record?.seq !== seq || record.entry.id !== id) throw new AccordError('EXCHANGE_NOT_FOUND', id);
    const { entry } = record;
    const why = asReason(reason);
    if (why === null) {
      return await showExchange(parts, request, reply.code(400), {
        ...{ id, peer: entry.peer },
        fault: { form: 'open', field: 'reason', seq, filled: filledIn(reason) },
      });
    }
    const peer = entry.peer === null ? {} : { peer: entry.peer };
    await trail.note({ action: 'open-record', auditor: session.name, exchange: id, ...peer, seq, reason: why });
    if (seq < server.log.archivedUntil()) throw new AccordError('RECORD_ARCHIVED', `entry ${seq}`);
    return show(
      parts,
      request,
      reply,
      recordPage(languageOf(request), entry, server.log.readSealed(seq), session.name),
    );
  });
}

function addExportRoute(app: FastifyInstance, parts: AuditorParts): void {
  const { server, trail, thread } = parts;
  app.post('/auditor/export', async (request, reply) => {
    const limits = { id: MAX_ID_CHARS, peer: MAX_PEER_CHARS, content: 7, confirm: 3, reason: 1_000 };
    const { session, fields } = readForm(parts, request, limits);
    const { id = '', peer = '', content, confirm, reason } = fields;
    if (content !== 'with' && content !== 'without') throw new AccordError('SCHEMA_MISMATCH', 'the form');
    const withContent = content === 'with';
    const why = asReason(reason);
    const field = withContent && confirm !== 'yes' ? 'confirm' : why === null ? 'reason' : null;
    if (field !== null || why === null) {
      const fault: FormFault = {
        ...{ form: 'export', field: field ?? 'reason', seq: null },
        filled: { ...filledIn(reason), withContent, isConfirmed: confirm === 'yes' },
      };
      return await showExchange(parts, request, reply.code(400), { id, peer, fault });
    }
    const about = { exchange: id, peer, withContent };
    await trail.note({ action: 'export', auditor: session.name, ...about, reason: why });
    const zip = await thread.export({ ...about, signer: packSigner(server), nowMs: server.clock.nowMs() });
    const name = `${id.replace(/[^0-9A-Za-z-]/g, '_')}.zip`;
    return reply.header('content-disposition', `attachment; filename="${name}"`).type('application/zip').send(zip);
  });
}

function addLogRoutes(app: FastifyInstance, parts: AuditorParts): void {
  const { server, trail, audit } = parts;
  app.get('/auditor/log', async (request, reply) => {
    const { csrf } = requireSession(parts, request);
    return show(parts, request, reply, logPage(languageOf(request), server, audit.state(), csrf));
  });
  app.post('/auditor/log/audit', async (request, reply) => {
    const { session, fields } = readForm(parts, request, { bodies: 3 });
    const withContent = fields.bodies === 'yes';
    if (audit.state().running !== null) throw new AccordError('AUDIT_RUNNING');
    await trail.note({ action: 'verify-log', auditor: session.name, withContent });
    audit.start(session.name, server.log.size(), withContent);
    return reply.redirect('/auditor/log', 303);
  });
  app.post('/auditor/log/stop', async (request, reply) => {
    const { session } = readForm(parts, request, {});
    await trail.note({ action: 'stop-verifying', auditor: session.name });
    await audit.stop();
    return reply.redirect('/auditor/log', 303);
  });
}

async function showExchange(
  parts: AuditorParts,
  request: FastifyRequest,
  reply: FastifyReply,
  { id, peer, fault }: { id: string; peer: string | null; fault: FormFault | null },
): Promise<FastifyReply> {
  const { csrf } = requireSession(parts, request);
  const { server, thread } = parts;
  const nowMs = server.clock.nowMs();
  const examined = await thread.examine({ exchange: id, peer, signer: packSigner(server), nowMs });
  const view = { id, examined, holds: holdsOn(server, id, examined), csrf, nowMs, fault };
  return show(parts, request, reply, exchangePage(languageOf(request), view));
}

const MS_PER_DAY = 86_400_000;

/** Holds on a person cannot be told from the entries, which name nobody. */
function holdsOn({ retention }: ServerParts, id: string, { entries }: Examined): string[] {
  const holds = retention.holds().filter(({ scope }) => {
    if (scope.kind === 'exchanges') return scope.ids.includes(id);
    if (scope.kind === 'class') return entries.some(({ entry }) => entry.retention === scope.retention);
    if (scope.kind === 'subject') return false;
    const days = entries.map(({ entry }) => Math.floor(entry.t / MS_PER_DAY));
    return days.some((day) => day >= scope.firstDay && day <= scope.lastDay);
  });
  return holds.map(({ hold }) => hold);
}

function asText(value: unknown, maxChars: number): string {
  if (typeof value !== 'string' || value === '' || value.length > maxChars) throw new AccordError('NOT_FOUND');
  return value;
}

/** What somebody filled in and has to mend; nothing longer than a field of the page takes. */
function filledIn(reason: string | undefined): FormFault['filled'] {
  return { reason: (reason ?? '').slice(0, REASON.max), withContent: false, isConfirmed: false };
}

/** One line of text; null when it says nothing. */
function asReason(text: string | undefined): string | null {
  const line = (text ?? '').replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return line.length >= REASON.min && line.length <= REASON.max ? line : null;
}
