// GET and POST /verify: anybody may check a receipt, nobody has to be signed in, and nothing of it is kept. The text goes by
// POST, so that it stays out of addresses and logs. Whoever sends it controls it; the body is capped, and how many are
// checked in a second, so that nobody keeps the service from its other work with signatures.
import type { FastifyInstance } from 'fastify';
import { checkReceipt } from '#consent-service/check-receipt.ts';
import { knownWords } from '#consent-service/known-words.ts';
import type { Clock } from '#core/clock.ts';
import { readFields } from '#core/http/pages/form.ts';
import { MAX_CHECK_FORM_BYTES, MAX_CHECKS_PER_SECOND, MAX_RECEIPT_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type CheckView, checkPage } from './check-page.ts';
import { type PagesOptions, show, voiceFor } from './page-parts.ts';

export function addCheckRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { sessions, configuration, statusOf, clock } = options;
  const enter = perSecond(clock, MAX_CHECKS_PER_SECOND);
  const viewOf = (checked: CheckView['checked']): CheckView => ({
    checked,
    known: knownWords(configuration.current()),
    nowMs: clock.nowMs(),
  });

  scope.get('/verify', async (request, reply) => {
    const voice = voiceFor(options, request);
    return show(options, request, reply, voice, checkPage(voice, viewOf(null)));
  });

  scope.post('/verify', { bodyLimit: MAX_CHECK_FORM_BYTES }, async (request, reply) => {
    sessions.requireSameSite(request);
    enter();
    const { receipt = '' } = readFields(request, { receipt: MAX_RECEIPT_BYTES });
    const voice = voiceFor(options, request);
    const text = receipt.trim();
    if (text === '') return show(options, request, reply.code(422), voice, checkPage(voice, viewOf('empty')));
    const checked = checkReceipt(text, configuration.current(), statusOf, clock.nowMs());
    return show(options, request, reply, voice, checkPage(voice, viewOf(checked)));
  });
}

/** @throws SERVER_BUSY from the returned function when it is called more often than `limit` times in a second */
function perSecond(clock: Clock, limit: number): () => void {
  let [second, count] = [0, 0];
  return () => {
    const now = Math.floor(clock.monotonicMs() / 1000);
    count = now === second ? count + 1 : 1;
    second = now;
    if (count > limit) throw new AccordError('SERVER_BUSY', 'receipts to check');
  };
}
