// The state of the log: what was signed and anchored of it, when it was last verified as a whole and by whom, and the button
// that verifies it.
import { apart, type Html, html } from '#core/http/html.ts';
import { type Body, csrfField } from '#core/http/pages/frame.ts';
import type { RangeReport } from '#core/log/audit-range-report.ts';
import type { AnchoringFacts } from '#core/witness/anchoring-facts.ts';
import { isProblemCode, PROBLEMS } from '#schemas/problems.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { AuditEnd, AuditState } from './audit-run.ts';
import { type Language, WORDS } from './language.ts';
import { detailWords, stateWords } from './state-words.ts';
import { fact, long, time, timeText } from './times.ts';

/** Gaps shown; the report of `accord audit log` has more. */
const MAX_GAPS = 10;

type Server = Pick<ServerParts, 'log' | 'anchoring' | 'certificateStatus' | 'archive'>;

export function logPage(language: Language, server: Server, audit: AuditState, csrf: string): Body {
  const words = WORDS[language];
  const content = html`${factsOf(language, server)}<h2>${words.anchoring}</h2>
${anchoringOf(language, server)}<h2>${words.beside}</h2>
${besideOf(language, server)}<h2>${words.auditTitle}</h2>
${auditOf(language, audit, csrf)}`;
  return { title: words.logTitle, content };
}

function factsOf(language: Language, { log }: Server): Html {
  const words = WORDS[language];
  const [checkpoint, state, archived] = [log.checkpoint(), log.state(), log.archivedUntil()];
  const writing = state.ok
    ? words.logFine
    : html`${stateWords(state.code, language)} <span lang="en">${apart(state.detail)}</span>`;
  return html`<dl>
${fact(words.origin, apart(log.origin))}${fact(words.verifierKey, long(log.verifierKey))}${fact(words.entries, log.size())}${fact(words.root, long(log.root()))}${fact(words.logState, writing)}${log.size() > 0 && fact(words.newestEntry, time(log.newestMs()))}${fact(words.checkpoint, words.checkpointAt(checkpoint.size))}${archived > 0 && fact(words.archivedUntil, words.archivedEntries(archived))}</dl>
`;
}

function anchoringOf(language: Language, { anchoring }: Server): Html {
  const words = WORDS[language];
  const { registryWitness, quorum, newest, newestStamped, trouble } = anchoring.state();
  const { waiting, overdue } = anchoring.grace.state();
  const at = (one: typeof newest) =>
    one === null ? words.never : words.anchoredAt(one.size, timeText(one.atMs), one.seq);
  const waits =
    waiting === null ? words.nothingWaits : words.waitingFor(waiting.seq, Math.floor(waiting.waitedMs / 60_000));
  const said = trouble && stateWords(trouble.code, language);
  const facts = anchoring.newestFacts();
  const cosigned = facts && (facts.witnesses.length === 0 ? words.none : apart(facts.witnesses.join(', ')));
  const direct = newestStamped?.isDirect === true && html`${words.semicolon}${words.stampedAlone}`;
  return html`<dl>
${fact(words.registryWitness, registryWitness === null ? words.none : apart(registryWitness))}${fact(words.quorum, quorum)}${fact(words.newestAnchored, at(newest))}${fact(words.cosignedBy, cosigned)}${facts && fact(words.stampedBy, stampsOf(facts.stamps))}${fact(words.newestStamped, html`${at(newestStamped)}${direct}`)}${fact(words.waiting, waits)}${fact(words.trouble, said)}</dl>
${overdue && html`<p class="box error">${words.overdue}</p>`}`;
}

function stampsOf(stamps: AnchoringFacts['stamps']): Html {
  return html`${stamps.map(({ authority, genTimeMs }, at) => html`${at > 0 && html`<br>`}${apart(authority)}, ${time(genTimeMs)}`)}`;
}

/** What else has to be there for evidence to stand: the authorities, the answers about own certificates, the archive. */
function besideOf(language: Language, { anchoring, certificateStatus, archive }: Server): Html {
  const words = WORDS[language];
  const authorities = anchoring.authorities().map(({ name, lastTokenAtMs, lastProblem, certificate }, at) => {
    const asked = lastTokenAtMs === null ? words.notAskedYet : timeText(lastTokenAtMs);
    const problem = lastProblem !== null && html`${words.semicolon}${stateWords(lastProblem, language)}`;
    const status = words.certificateIs[certificate.status];
    return html`${at > 0 && html`<br>`}${apart(name)}${words.colon}${asked}${problem}${words.semicolon}${status}`;
  });
  const answers = certificateStatus.own().map(({ use, status, thisUpdateMs, endsMs }, at) => {
    const times = thisUpdateMs !== null && endsMs !== null && words.answerOf(timeText(thisUpdateMs), timeText(endsMs));
    return html`${at > 0 && html`<br>`}${words.certificateUse[use]}${words.colon}${words.answerSays[status]}${times && html`${words.semicolon}${times}`}`;
  });
  const { destination, newest, overdue } = archive.state();
  const copy = newest === null ? words.never : words.copiedUntil(newest.to, timeText(newest.atMs));
  const late = overdue && html`${words.semicolon}${words.archiveOverdue}`;
  return html`<dl>
${authorities.length > 0 && fact(words.authorities, html`${authorities}`)}${fact(words.ownAnswers, answers.length === 0 ? words.none : html`${answers}`)}${fact(words.lastCopy, destination === null ? words.none : html`${copy}${late}`)}</dl>
`;
}

function auditOf(language: Language, { running, last, ended }: AuditState, csrf: string): Html {
  const words = WORDS[language];
  const shown = last === null ? html`<p>${words.auditNever}</p>` : endOf(language, last);
  const failed = ended !== null && ended !== last && html`${endOf(language, ended)}<p>${words.auditStopKeeps}</p>`;
  if (running !== null) {
    const { by, startedAtMs, done, size } = running;
    return html`<div class="box"><p class="said" role="status">${words.auditRunning}</p>
<label for="progress">${words.auditProgress(done, size)}</label><progress id="progress" max="${Math.max(1, size)}" value="${done}"></progress>
<dl>${fact(words.auditBy, apart(by))}${fact(words.auditStarted, time(startedAtMs))}</dl>
<form method="post" action="/auditor/log/stop">${csrfField(csrf)}<p><a class="button" href="/auditor/log">${words.refresh}</a> <button class="plain">${words.doStop}</button></p></form></div>
${shown}`;
  }
  return html`${failed}${shown}<form method="post" action="/auditor/log/audit">${csrfField(csrf)}
<p class="hint">${words.auditHint}</p>
<div class="tick"><input type="checkbox" id="bodies" name="bodies" value="yes"><label for="bodies">${words.auditWithBodies}</label></div>
<p><button>${words.doAudit}</button></p></form>
`;
}

function endOf(language: Language, { by, startedAtMs, endedAtMs, outcome, report }: AuditEnd): Html {
  const words = WORDS[language];
  const result =
    report === null
      ? outcome === 'stopped'
        ? words.auditStopped
        : words.auditFailed
      : !report.ok
        ? words.auditWrong
        : isIncomplete(report)
          ? words.auditIncomplete
          : words.auditOk;
  const tone = report !== null && (!report.ok ? 'bad' : !isIncomplete(report) && 'good');
  return html`<div class="box ${tone}"><p class="said">${words.auditResult}${words.colon}${result}</p>
<dl>${fact(words.auditBy, apart(by))}${fact(words.auditStarted, time(startedAtMs))}${fact(words.auditEnded, time(endedAtMs))}${report && reportOf(language, report)}</dl></div>
`;
}

/** A report that was kept may be of a version that did not say so. */
function isIncomplete({ incomplete }: RangeReport): boolean {
  return incomplete != null;
}

function coveredOf(language: Language, covered: RangeReport['quorum'] | undefined): string {
  const words = WORDS[language];
  if (covered == null) return words.auditCoveredNo;
  const { met, below, unknown, coveredUntil } = covered;
  return words.auditCoveredOf(met, below, unknown, coveredUntil);
}

function vouchedOf(language: Language, { quorum, timeStamps, gaps = [] }: RangeReport): Html {
  const words = WORDS[language];
  const said = gaps
    .slice(0, MAX_GAPS)
    .map(
      ({ code, seq, detail }) =>
        html`${stateWords(code, language)}${words.semicolon}${words.fromEntry(seq)}${words.semicolon}${detailWords(detail, language)}<br>`,
    );
  return html`${fact(words.auditQuorum, coveredOf(language, quorum))}${fact(words.auditTimeStamps, coveredOf(language, timeStamps))}${said.length > 0 && fact(words.auditGaps, html`${said}`)}`;
}

function reportOf(language: Language, report: RangeReport): Html {
  const words = WORDS[language];
  const { code, detail, firstBadSeq, startedAt, endedAt, size, signatures, checkpoints, bodies, heartbeatsMissing } =
    report;
  const next = code !== null && isProblemCode(code) && html` <span lang="en">${PROBLEMS[code].next}</span>`;
  const problem = code && html`${stateWords(code, language)}${next} <span lang="en">${apart(detail)}</span>`;
  const opened = bodies == null ? words.auditBodiesNo : words.auditBodiesOf(bodies.opened, bodies.erased, bodies.none);
  return html`${fact(words.code, problem)}${fact(words.auditFirstBad, firstBadSeq)}${fact(words.auditScope, words.auditScopeOf(startedAt, endedAt, size))}${fact(words.auditSignatures, signatures ? words.auditSignaturesYes : words.auditSignaturesNo)}${vouchedOf(language, report)}${fact(words.auditCheckpoints, checkpoints)}${fact(words.auditBodies, opened)}${fact(words.auditHeartbeats, heartbeatsMissing)}`;
}
