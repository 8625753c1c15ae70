// The `accord` program: a noun, a verb, options. A noun's file is loaded only when that noun is used, so that the help
// of the whole and `accord call` start fast; the table below is all that `accord --help` needs. Exit codes are those of
// output.ts; what commander itself refuses is a usage error (2). The person at the terminal controls the arguments, and
// everyone on the machine can read them, so a secret among them is refused before anything else is looked at.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { refuseSecrets } from './argument-secrets.ts';
import { EXIT, reportError } from './output.ts';

interface Noun {
  name: string;
  description: string;
  load: () => Promise<Command>;
}

export const NOUNS: readonly Noun[] = [
  {
    name: 'ca',
    description: 'certification authority: certify keys, renew, revoke, verify chains',
    load: async () => (await import('./ca.ts')).caCommand(),
  },
  {
    name: 'registry',
    description:
      'the central registry: run it, whom it trusts, limits, global groups, consent services, API keys, what administrators did',
    load: async () => (await import('./registry-admin.ts')).registryCommand(),
  },
  {
    name: 'member',
    description: 'members of the instance, in the registry',
    load: async () => (await import('./registry.ts')).memberCommand(),
  },
  {
    name: 'subsystem',
    description: 'subsystems of members, and the information systems that may speak for them',
    load: async () => (await import('./subsystem.ts')).subsystemNoun(),
  },
  {
    name: 'server',
    description: 'security servers: make, start, register, look at',
    load: async () => (await import('./server.ts')).serverNoun(),
  },
  {
    name: 'service',
    description: 'services: at a security server with their backends, and in the registry',
    load: async () => (await import('./service.ts')).serviceNoun(),
  },
  {
    name: 'purpose',
    description: 'what data may be asked for: registered and approved, in words that citizens read',
    load: async () => (await import('./purpose.ts')).purposeCommand(),
  },
  {
    name: 'access',
    description: 'access rights: who may ask which service for what',
    load: async () => (await import('./access.ts')).accessCommand(),
  },
  {
    name: 'retention',
    description: 'how long records are kept, their destruction by two persons, holds',
    load: async () => (await import('./retention.ts')).retentionCommand(),
  },
  {
    name: 'group',
    description: 'local groups: subsystems that get the same access rights',
    load: async () => (await import('./group.ts')).groupCommand(),
  },
  {
    name: 'dictionary',
    description: 'the shared data dictionary: check, compare, release, search',
    load: async () => (await import('./dictionary.ts')).dictionaryCommand(),
  },
  {
    name: 'config',
    description: 'the signed global configuration: draft, approve, publish, verify',
    load: async () => (await import('./config.ts')).configCommand(),
  },
  {
    name: 'system',
    description: 'information systems of the department: how they connect',
    load: async () => (await import('./system.ts')).systemCommand(),
  },
  {
    name: 'adapter',
    description: "programs in front of a department's own database or backend",
    load: async () => (await import('./adapter.ts')).adapterCommand(),
  },
  {
    name: 'call',
    description: 'ask a service of another department through the own security server',
    load: async () => (await import('./call.ts')).callCommand(),
  },
  {
    name: 'official',
    description: "officials of the department: the sign-on's keys",
    load: async () => (await import('./official.ts')).officialCommand(),
  },
  {
    name: 'evidence',
    description: 'what officials signed: read it, verify it',
    load: async () => (await import('./evidence.ts')).evidenceCommand(),
  },
  {
    name: 'emergency',
    description: 'emergencies: two officials open one, a third reviews it',
    load: async () => (await import('./emergency.ts')).emergencyCommand(),
  },
  {
    name: 'catalogue',
    description: 'which elements and predicates there are, and which service gives them',
    load: async () => (await import('./catalogue.ts')).catalogueCommand(),
  },
  {
    name: 'consent',
    description: 'ask citizens for consent, and use what they gave',
    load: async () => (await import('./consent.ts')).consentCommand(),
  },
  {
    name: 'consent-service',
    description: 'the consent service: make it, run it',
    load: async () => (await import('./consent-service.ts')).consentServiceCommand(),
  },
  {
    name: 'doubt',
    description: 'reports that a received value may be wrong, and their answers',
    load: async () => (await import('./doubt.ts')).doubtCommand(),
  },
  {
    name: 'log',
    description: 'read and verify the message log of a security server',
    load: async () => (await import('./log.ts')).logCommand(),
  },
  {
    name: 'audit',
    description: 'check what a security server decided',
    load: async () => (await import('./audit.ts')).auditCommand(),
  },
  {
    name: 'archive',
    description: 'old parts of the message log in a folder or a bucket',
    load: async () => (await import('./archive.ts')).archiveCommand(),
  },
  {
    name: 'key',
    description: 'keys in encrypted key files',
    load: async () => (await import('./key.ts')).keyCommand(),
  },
  {
    name: 'doctor',
    description: 'look at a security server and say what is wrong and what to do',
    load: async () => (await import('./doctor.ts')).doctorCommand(),
  },
  {
    name: 'dev',
    description: 'a whole exchange on this machine, for development',
    load: async () => (await import('./dev.ts')).devCommand(),
  },
];

const COMPLETE = 'complete';

/**
 * Runs one command line.
 * @param argv what stands behind the program's name
 * @returns the exit code (EXIT); nothing is thrown for what a user can cause
 */
export async function run(argv: readonly string[]): Promise<number> {
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    refuseSecrets(argv);
    const program = await buildProgram(argv);
    await program.parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return reportError(error);
  } finally {
    process.exitCode = before;
  }
}

/** The program with the nouns loaded that `argv` speaks of; all others are their line in the table. */
export async function buildProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('accord')
    .description('A government data exchange: signed, sealed and logged lookups between departments.')
    .version(version(), '-V, --version')
    .usage('<noun> <verb> [options]')
    .addHelpText('after', `\n${EXIT_CODES}\n`);
  const spoken = new Set(nounsIn(argv));
  for (const { name, description, load } of NOUNS) {
    const command = spoken.has(name) ? await load() : new Command(name);
    program.addCommand(command.description(description));
  }
  if (spoken.has(COMPLETE)) {
    const { addCompletions } = await import('./completions.ts');
    addCompletions(program);
  } else {
    program.addCommand(new Command(COMPLETE).description('print the completion script for a shell: bash, zsh, fish'));
  }
  prepare(program, 'accord');
  return program;
}

const EXIT_CODES = `Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 the role lacks permission, 5 precondition,
6 exchange refused, 7 verification failed, 8 peer unavailable.`;

/** `accord NOUN …`, `accord help NOUN`, `accord complete -- NOUN …`: the words that may be nouns. */
function nounsIn(argv: readonly string[]): string[] {
  const words = argv.filter((word) => !word.startsWith('-'));
  const [first = ''] = words;
  return first === 'help' || first === COMPLETE ? words.slice(0, 2) : [first];
}

/** Settings that commander hands on only to commands made by their parent, which the nouns are not. */
function prepare(command: Command, path: string): void {
  command.exitOverride();
  command.showHelpAfterError(`Next: See \`${path} --help\`.`);
  command.configureHelp({ showGlobalOptions: false });
  for (const below of command.commands) prepare(below, `${path} ${below.name()}`);
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
