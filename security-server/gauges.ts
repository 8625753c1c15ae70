// What the metrics read of a running server whenever they are asked (metrics.ts names and explains each).
import { probe } from './health.ts';
import type { Gauges } from './metrics.ts';
import type { ServerParts } from './server-parts.ts';

/** When OCSP answers about own certificates are over; 0 without one. */
function ownEnds({ certificateStatus }: ServerParts): number[] {
  const ends = certificateStatus.own().flatMap(({ endsMs }) => endsMs ?? []);
  return ends.length === 0 ? [0] : ends;
}

/** @param parts called when a metric is read, not before */
export function gaugesOf(parts: () => ServerParts, framed: () => number): Gauges {
  return {
    inFlight: () => parts().admission.inFlight,
    logSize: () => parts().log.size(),
    ready: () => (probe(parts()).ok ? 1 : 0),
    openDoubts: () => parts().doubts.open(),
    waitingReports: () => parts().emergencies.reports.waiting().count,
    waitingNotices: () => parts().emergencies.notices.waiting().count,
    dueReviews: () => parts().emergencies.reviews.count(),
    maintenance: () => (parts().state.maintenance() === null ? 0 : 1),
    framed,
    answerEndsMs: () => Math.min(...ownEnds(parts())),
    anchoredEntries: () => parts().anchoring.state().newest?.size ?? 0,
    anchoredAtMs: () => parts().anchoring.state().newest?.atMs ?? 0,
    timeStampWaitedMs: () => parts().anchoring.grace.state().waiting?.waitedMs ?? 0,
    timeStampGraceMs: () => parts().anchoring.grace.state().graceMs ?? 0,
    timeStampOverdue: () => (parts().anchoring.grace.state().overdue ? 1 : 0),
    timeStampAuthoritiesFailing: () =>
      parts()
        .anchoring.authorities()
        .filter(({ failures }) => failures > 0).length,
    anchoringTrouble: () => (parts().anchoring.state().trouble === null ? 0 : 1),
    archivedEntries: () => parts().archive.state().archivedUntil,
    archiveOverdue: () => (parts().archive.state().overdue ? 1 : 0),
    archiveTrouble: () => (parts().archive.state().trouble === null ? 0 : 1),
    overdueDestruction: () => parts().retention.overdueDays(),
    waitingDestructions: () => parts().retention.waiting(),
    destructionsUnderWay: () => parts().retention.underWay(),
    holds: () => parts().retention.held(),
  };
}
