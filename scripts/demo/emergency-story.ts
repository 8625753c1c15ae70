// The last part of the story: nobody can be asked for consent, and two officials answer for it. One alone opens nothing; what
// was asked is shown to the citizen before everything else.
import { signEmergencyEvidence } from '#certs/evidence.ts';
import { systemClock } from '#core/clock.ts';
import { newMessageId } from '#core/message-id.ts';
import { EMERGENCY_REVIEW_MS } from '#schemas/limits.ts';
import { type Asked, ask } from './ask.ts';
import { CITIZEN_SCHEME } from './consent-office.ts';
import type { Told } from './consent-story.ts';
import { serviceOf, subsystemOf } from './departments.ts';
import type { World } from './world.ts';

const PURPOSE = 'emergency-care';
const REASON = 'Brought in unconscious after an accident; the family has to be reached.';
const NOTICE_WITHIN_MS = 3_000;
const OPENS = { id: '赵医生, 急诊 on duty', name: '赵敏', unit: '急诊 Emergency' };
const CONFIRMS = { id: '孙科长, 值班 on duty', name: '孙立', unit: '值班 Duty office' };

export async function tellEmergency(story: Told): Promise<void> {
  story.tell.heading('Emergency');
  const tokens = signed(story.world);
  const alone = await asked(story, tokens.slice(0, 1));
  const both = await asked(story, tokens);
  const { address } = (both.answer?.body ?? {}) as { address?: string };
  story.tell.step(
    'emergency',
    alone.refusal?.code === 'EVIDENCE_REFUSED' && both.answer?.outcome === 'ok' && address !== undefined,
    { alone: alone.refusal?.code, outcome: both.answer?.outcome, id: both.answer?.id, answer: both.answer?.body },
    [
      `Medical Insurance needs the address of ${story.resident.name}, who can consent to nothing:`,
      `“${REASON}”`,
      `One official’s signature alone: ${alone.refusal?.code}. With a second one, of another unit: ${address}.`,
    ],
  );
  await tellNotice(story);
  await tellSeen(story);
}

/** Both sign the same terms, for one person and half an hour. */
function signed({ officials }: World): string[] {
  const nowMs = systemClock.nowMs();
  const iat = Math.floor(nowMs / 1000);
  const terms = {
    v: 1 as const,
    emergency: newMessageId(nowMs),
    iss: subsystemOf('medical-insurance'),
    purpose: PURPOSE,
    services: [serviceOf('civil-affairs')],
    persons: 1,
    reason: REASON,
    ...{ iat, nbf: iat, exp: iat + 1800 },
  };
  return [
    signEmergencyEvidence({ ...terms, role: 'opens', official: OPENS }, officials[0]),
    signEmergencyEvidence({ ...terms, role: 'confirms', official: CONFIRMS }, officials[1]),
  ];
}

function asked({ world, resident }: Told, evidence: readonly string[]): Promise<Asked> {
  return ask(world, 'medical-insurance', {
    service: serviceOf('civil-affairs'),
    elements: ['gx.address.full@1'],
    subject: { scheme: CITIZEN_SCHEME, value: resident.id },
    purpose: PURPOSE,
    basis: 'emergency',
    userId: OPENS.id,
    issue: 'JZ-2026-000009',
    evidence,
  });
}

/** Civil Affairs' server tells the consent service beside the answer, so the page is looked at until it is there. */
async function tellNotice({ world, tell, visitor }: Told): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  let text = '';
  do {
    await visitor.open(`${world.consentOffice.urls.citizen}/`);
    text = await visitor.text();
  } while (!text.includes(REASON) && systemClock.monotonicMs() < startedMs + NOTICE_WITHIN_MS);
  await visitor.picture('emergency-told');
  tell.step('emergency told', text.includes(REASON), { text }, [
    'Without asking, the resident finds it on the start page, and a line about it on every other page, until it was read.',
  ]);
}

async function tellSeen({ world, tell, visitor }: Told): Promise<void> {
  await visitor.open(`${world.consentOffice.urls.citizen}/accesses`);
  await visitor.press('Ask all departments now');
  await visitor.picture('emergency-seen');
  const text = await visitor.text();
  const [, first = ''] = /Emergency access (.*?) \d+ of \d+ departments answered/.exec(text) ?? [];
  tell.step('emergency seen', first.includes(REASON), { first }, [
    'It stands before everything else when the resident next asks who looked, with the reason both signed. Within',
    `${EMERGENCY_REVIEW_MS / 86_400_000} days a third official has to say whether it was right, or Medical Insurance gets nothing anywhere until then.`,
  ]);
}
