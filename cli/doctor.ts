// `accord doctor`: looks at everything a security server needs, from its data folder and over the network, and says what
// is wrong and what to do next. It changes nothing and asks for no passphrase. Exit code 0, or 5 when something fails.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import type { HeldSet } from '#core/configuration/cache.ts';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { resolveSettings, type Settings } from '#security-server/settings.ts';
import { checkAnchoring, checkArchive, checkOcsp } from './doctor/evidence.ts';
import { type Finding, look, ok } from './doctor/finding.ts';
import {
  checkCertificate,
  checkDisk,
  checkEmergencyReports,
  checkKeys,
  checkLog,
  checkModes,
  checkNode,
} from './doctor/folder.ts';
import {
  checkFreshness,
  checkRegistration,
  checkRegistry,
  type OwnFacts,
  readCopy,
  snapshotOf,
} from './doctor/registration.ts';
import { checkPeerPort, checkReady } from './doctor/running.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';

interface DoctorOptions extends OutputOptions {
  dir: string;
  health?: string;
}

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('look at a security server and say what is wrong and what to do')
    .requiredOption('--dir <folder>', "the server's data folder")
    .option('--health <url>', 'its health port, when the settings leave the port to the system');
  return withOutput(command).action(runAction(doctor));
}

async function doctor(options: DoctorOptions): Promise<void> {
  statSync(options.dir);
  const findings = await examine(options);
  if (outputFormat(options) === 'table') process.stdout.write(findings.map(line).join(''));
  else print({ ok: findings.every(({ state }) => state !== 'fail'), checks: findings }, options);
  const failed = findings.filter(({ state }) => state === 'fail').length;
  if (failed > 0) throw new CommandEnd(EXIT.precondition, `${failed} of ${findings.length} failed.`);
}

function line({ check, state, code, detail, next }: Finding): string {
  const said = state === 'ok' ? detail : `${code}: ${detail}`;
  return `${state.padEnd(4)}  ${check}: ${said}\n${next === '' ? '' : `      Next: ${next}\n`}`;
}

/** All checks, in the order in which a person would mend things. */
async function examine({ dir, health }: DoctorOptions): Promise<Finding[]> {
  const nowMs = systemClock.nowMs();
  const findings: Finding[] = [...checkNode(process.versions.node)];
  const see = async (check: string, looked: () => Finding[] | Promise<Finding[]>) => {
    findings.push(...(await look(check, looked)));
  };
  let settings: Settings | undefined;
  let anchor: ConfigurationAnchor | undefined;
  let held: HeldSet | undefined;
  const own: OwnFacts = { verifierKey: null };
  await see('settings', () => {
    ({ settings } = resolveSettings(readFileSync(join(dir, 'server.json'), 'utf8'), process.env, {}));
    return [ok('settings', settings.id)];
  });
  await see('anchor', () => {
    anchor = readAnchor(readFileSync(join(dir, 'anchor.json')));
    return [ok('anchor', `${anchor.instance}, root ${anchor.root.version}`)];
  });
  await see('files', () => checkModes(dir));
  for (const name of ['authentication', 'signing'] as const) {
    await see(`certificate ${name}`, async () => {
      const { findings: seen, hash } = await checkCertificate(dir, name, nowMs);
      own[name] = hash;
      return seen;
    });
  }
  await see('keys', async () => {
    const { findings: seen, kids } = await checkKeys(dir, nowMs);
    own.encryptionKids = kids;
    return seen;
  });
  await see('log', () => {
    const { findings: seen, verifierKey } = checkLog(dir);
    own.verifierKey = verifierKey;
    return seen;
  });
  await see('disk', () => checkDisk(dir));
  await see('emergency reports', () => checkEmergencyReports(dir, nowMs));
  if (anchor === undefined || settings === undefined) return findings;
  const [known, configured] = [anchor, settings];
  await see('configuration', () => {
    const copy = readCopy(dir, known);
    held = copy.held;
    return [...copy.findings, ...checkFreshness(copy.held, configured.configurationMaxStaleMs, nowMs)];
  });
  let address = configured.address;
  await see('registration', () => {
    if (held === undefined) return [];
    const snapshot = snapshotOf(held);
    address = snapshot.server(configured.id)?.address ?? address;
    return checkRegistration(snapshot, configured, own, nowMs);
  });
  await see('anchoring', () => {
    // Without a log, which `log` has told, there is nothing to say.
    if (held === undefined || own.verifierKey === null) return [];
    return checkAnchoring(dir, snapshotOf(held), nowMs);
  });
  await see('certificate status', () =>
    held === undefined ? [] : checkOcsp(dir, snapshotOf(held), own.signing, nowMs),
  );
  await see('archive', () =>
    own.verifierKey === null ? [] : checkArchive(dir, configured.archive.destination !== null),
  );
  await see('registry', () => checkRegistry(known, held, () => systemClock.nowMs()));
  const healthPort = configured.ports.health;
  const origin = health ?? (healthPort === 0 ? undefined : `http://127.0.0.1:${healthPort}`);
  if (origin !== undefined) await see('running', () => checkReady(origin));
  const { authentication } = own;
  if (authentication !== undefined) await see('peer port', () => checkPeerPort(address, authentication));
  return findings;
}
