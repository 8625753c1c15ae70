// The program as a whole: every noun and verb is there, helps, and is in the documentation with an example that parses;
// what a person gets wrong ends with 2 and a way on; the exit codes; the launcher under whatever Node the machine has.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import t from 'tap';
import { EXIT, RemoteProblem, reportError } from '#cli/output.ts';
import { buildProgram, NOUNS } from '#cli/program.ts';
import { AccordError, PROBLEMS, type ProblemCode } from '#schemas/problems.ts';
import { accord } from './run.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

/** `accord NOUN VERB` of everything that can be run. */
async function leaves(): Promise<string[]> {
  const below = (command: Command, path: string): string[] => {
    const verbs = command.commands.filter((verb) => verb.name() !== 'help');
    return verbs.length === 0 ? [path] : verbs.flatMap((verb) => below(verb, `${path} ${verb.name()}`));
  };
  const found: string[] = [];
  for (const { name, load } of NOUNS) found.push(...below(await load(), name));
  return found;
}

t.test('help lists every noun, and every noun its verbs', async (t) => {
  const help = await accord('--help');
  t.equal(help.code, 0);
  const nouns = ['ca', 'member', 'subsystem', 'server', 'service', 'access', 'config', 'adapter', 'call', 'log', 'key'];
  for (const noun of [...nouns, 'doctor', 'dev', 'complete']) {
    t.match(help.stdout, new RegExp(`^  ${noun} +\\S`, 'm'), `${noun} in the help`);
  }
  t.match(help.stdout, 'Exit codes: 0 ok');
  const all = await leaves();
  t.ok(all.length > 45, `${all.length} commands`);
  for (const { name } of NOUNS) {
    const shown = await accord(name, '--help');
    t.equal(shown.code, 0, name);
    for (const leaf of all.filter((each) => each.startsWith(`${name} `))) {
      t.match(shown.stdout, new RegExp(`^  ${leaf.split(' ')[1]}\\b`, 'm'), leaf);
    }
  }
  for (const leaf of all) {
    const shown = await accord(...leaf.split(' '), '--help');
    t.match(shown, { code: 0, stdout: new RegExp(`^Usage: accord ${leaf}\\b`), stderr: '' });
  }
  t.match(await accord('--version'), { code: 0, stdout: `${version}\n` });
  t.match(await accord('help', 'access'), { code: 0, stdout: /^Usage: accord access/ });
  t.match(await accord('access', 'help', 'grant'), { code: 0, stdout: /--case-pattern/ });
});

t.test('every command stands in the documentation, with an example that parses', async (t) => {
  const text = readFileSync('docs/command-line.md', 'utf8').replaceAll('\\\n', ' ');
  const examples = [...text.matchAll(/^accord (.+)$/gm)].map(([, line = '']) => words(line));
  const seen = new Set<string>();
  for (const example of examples) {
    const program = await buildProgram(example);
    let command: Command = program;
    for (const word of example) command = command.commands.find((below) => below.name() === word) ?? command;
    let ran = false;
    command.action(() => {
      ran = true;
    });
    const said: string[] = [];
    quiet(program, said);
    await program.parseAsync(example, { from: 'user' }).catch((error: Error) => said.push(error.message));
    t.ok(ran && said.length === 0, `accord ${example.join(' ')}${said.length === 0 ? '' : `: ${said[0]}`}`);
    seen.add(pathOf(command));
  }
  const missing = (await leaves()).filter((leaf) => !seen.has(leaf));
  t.same(missing, [], 'every command has an example');
  const codes = [...text.matchAll(/^\| (\d) \|/gm)].map(([, code]) => Number(code));
  t.same(codes, Object.values(EXIT));
});

t.test('mistakes end with 2 and a way on', async (t) => {
  const cases: [argv: string[], stderr: RegExp][] = [
    [[], /^Usage: accord <noun>/],
    [['ca'], /^Usage: accord ca/],
    [['srvice'], /unknown command 'srvice'\n\(Did you mean service\?\)\nNext: See `accord --help`/],
    [['access', 'grnt'], /Did you mean grant\?\)\nNext: See `accord access --help`/],
    [['log', 'verify', '--dir', 'x', '--jso'], /Did you mean --json\?\)\nNext: See `accord log verify --help`/],
    [['log', 'verify'], /--dir.*\nNext: /],
    [['log', 'verify', '--dir', 'x', '-o', 'xml'], /table, json, yaml/],
    [['log', 'show', '--dir', 'x', 'more'], /too many arguments/],
    [['--frob'], /unknown option/],
    [['complete', 'tcsh'], /bash/],
  ];
  for (const [argv, stderr] of cases) {
    t.match(await accord(...argv), { code: 2, stdout: '', stderr }, argv.join(' '));
  }
  t.match(await accord('log', 'verify', '--dir', '/nowhere', '--json'), { code: 3, stderr: /^LOG_MISSING.*\nNext: /s });
});

t.test('no secret in the arguments, and none in what is said about it', async (t) => {
  const refused = [
    ['access', 'list', '--api-key', 's3cret'],
    ['access', 'list', '--api-key=s3cret'],
    ['ca', 'init', '--passphrase=s3cret'],
    ['key', 'export', 'x', '--p12-password', 's3cret'],
    ['call', 'a', '--server', 'http://user:s3cret@host'],
    ['call', 'a', '--server=http://user:s3cret@host'],
    ['call', 'a', '--header', 'Authorization: Bearer s3cret'],
    ['call', 'a', '--header=cookie:s3cret'],
    ['call', 'a', '--data', '-----BEGIN PRIVATE KEY-----s3cret'],
  ];
  for (const argv of refused) {
    const ended = await accord(...argv);
    t.match(ended, { code: 2, stderr: /^SECRET_IN_ARGUMENTS.*\nNext: /s }, argv.join(' '));
    t.notMatch(ended.stderr + ended.stdout, 's3cret');
  }
  const allowed = ['access', 'list', '--api-key-file', '/nowhere', '--admin', 'http://127.0.0.1:1'];
  t.match(await accord(...allowed), { code: 3, stderr: /\/nowhere/ });
});

t.test('what a code means for a script', (t) => {
  const cases: [ProblemCode, number][] = [
    ['INTERNAL', 1],
    ['SCHEMA_MISMATCH', 2],
    ['BODY_TOO_LARGE', 2],
    ['NOT_FOUND', 3],
    ['LOG_MISSING', 3],
    ['SERIAL_UNKNOWN', 3],
    ['ROLE_NOT_ALLOWED', 4],
    ['API_KEY_REQUIRED', 4],
    ['REGISTRATION_EXISTS', 5],
    ['KEY_FILE_MODE', 5],
    ['CERTIFICATE_MISSING', 5],
    ['CONFIGURATION_FORKED', 7],
    ['CERTIFICATE_INVALID', 7],
    ['PEER_UNREACHABLE', 8],
    ['PEER_TIMEOUT', 8],
    ['LOG_UNAVAILABLE', 8],
  ];
  const write = process.stderr.write;
  process.stderr.write = () => true;
  const ends = cases.map(([code]) => {
    const { title, status, next } = PROBLEMS[code];
    return [reportError(new AccordError(code)), reportError(new RemoteProblem({ code, title, status, next }))];
  });
  process.stderr.write = write;
  for (const [at, [code, end]] of cases.entries()) t.same(ends[at], [end, end], code);
  t.end();
});

t.test('completions', async (t) => {
  t.match(await accord('complete', 'bash'), { code: 0, stdout: /accord complete -- / });
  t.match(await accord('complete', 'zsh'), { code: 0, stdout: /#compdef accord/ });
  t.match(await accord('complete', 'fish'), { code: 0, stdout: /complete -c accord/ });
  t.match(await accord('complete', '--', 'se'), { code: 0, stdout: /^server\t.*\nservice\t.*\n:4\n$/ });
  t.match(await accord('complete', '--', 'access', 'gr'), { stdout: /^grant\t/ });
  t.match(await accord('complete', '--', 'access', 'grant', '--cas'), { stdout: /^--case-pattern\t/ });
});

t.test('the launcher, under the Node of the machine', (t) => {
  const launch = (...argv: string[]) =>
    spawnSync('/usr/bin/env', ['node', 'bin/accord.js', ...argv], { encoding: 'utf8', input: '' });
  t.match(launch('--version'), { status: 0, stdout: `${version}\n`, stderr: '' });
  t.match(launch('log', 'verify', '--dir', '/nowhere'), { status: 3, stderr: /^LOG_MISSING/ });
  t.end();
});

/** As a shell reads it, without variables. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain = '']) => quoted ?? plain);
}

function pathOf(command: Command): string {
  const above = command.parent;
  return above?.parent ? `${pathOf(above)} ${command.name()}` : command.name();
}

function quiet(command: Command, said: string[]): void {
  command.configureOutput({ writeErr: (text) => said.push(text), writeOut: (text) => said.push(text) });
  for (const below of command.commands) quiet(below, said);
}
