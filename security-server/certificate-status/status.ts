// Certificate status of one security server: what it holds of its own certificates and its peers', how it is renewed and
// kept, and what goes beside messages.
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource, ServerEntry } from '#core/configuration/snapshot.ts';
import type { BoundedClient } from '#core/http/client.ts';
import type { KeyRing } from '#security-server/key-ring.ts';
import { readAnswers, writeAnswers } from './answer-file.ts';
import { type HeldAnswer, type HeldAnswers, holdAnswers } from './answers.ts';
import { OwnAnswers, type OwnStatus } from './own-answers.ts';
import { openPeerAnswers } from './peer-answers.ts';
import type { StatusNews } from './wire.ts';

export interface CertificateStatus extends StatusNews {
  /** What the trust judges with. */
  answers: HeldAnswers;
  /** The answer that a signature by this own certificate goes out with. */
  of(certificate: string): HeldAnswer | null;
  /** Asks responders for what is due. */
  look(): Promise<void>;
  own(): OwnStatus[];
}

/** The file in the data folder. */
export const ANSWER_FILE = 'certificate-status.json';

interface StatusParts {
  folder: string;
  configuration: Pick<ConfigurationSource, 'current'>;
  registered: () => ServerEntry | undefined;
  keys: Pick<KeyRing, 'held'>;
  clock: Clock;
  http: Pick<BoundedClient, 'request'>;
  logger: FastifyBaseLogger;
  counted: (of: 'own' | 'peer', outcome: string) => void;
  /** An answer that says `revoked` came for the first time; it goes into the message log. */
  onRevoked: (answer: HeldAnswer) => void;
}

/** @throws CERTIFICATE_STATUS_UNREADABLE */
export function openCertificateStatus(parts: StatusParts): CertificateStatus {
  const file = join(parts.folder, ANSWER_FILE);
  const revoked = new Map<string, HeldAnswer>();
  let mine: readonly HeldAnswer[] = [];
  const write = () => {
    try {
      const still = [...revoked.values()].filter((one) => answers.of(one.certificate) === one);
      writeAnswers(file, [...still, ...mine.filter(({ status }) => status === 'good')]);
    } catch (error) {
      // Held in memory, and fetched again after a restart.
      parts.logger.error({ alarm: 'OCSP_NOT_KEPT', err: error }, 'OCSP answers could not be kept');
    }
  };
  const before = readAnswers(file);
  for (const answer of before) if (answer.status === 'revoked') revoked.set(answer.certificate, answer);
  const answers = holdAnswers(before, (answer) => {
    revoked.set(answer.certificate, answer);
    parts.logger.error(
      { alarm: 'CERTIFICATE_REVOKED', certificate: answer.certificate },
      'an OCSP answer says revoked',
    );
    write();
    parts.onRevoked(answer);
  });
  const own = new OwnAnswers({
    ...parts,
    answers,
    changed(now) {
      mine = now;
      write();
    },
  });
  mine = own.mine();
  const peers = openPeerAnswers({ ...parts, answers });
  return {
    ...peers,
    answers,
    mine: () => own.mine(),
    of: (certificate) => own.of(certificate),
    look: () => own.look(),
    own: () => own.state(),
  };
}
