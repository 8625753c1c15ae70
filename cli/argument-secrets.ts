// No secret in the arguments: every user of a machine can read the arguments of every process, and shells keep them in
// their history. Secrets come in files (mode 0600), in the environment, or from a person at a terminal.
import { readFileSync, statSync } from 'node:fs';
import { AccordError } from '#schemas/problems.ts';

const SECRET_OPTION =
  /^--(?:api-?key|pass(?:phrase|word)?|password|token|secret|(?:key|p12|ca)-pass(?:phrase|word))(?:=|$)/i;
const CREDENTIALS_IN_URL = /[a-z][a-z0-9+.-]*:\/\/[^/?#\s@]*:[^/?#\s@]*@/i;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;
const SECRET_HEADER = /^(?:authorization|proxy-authorization|cookie|x-api-key|api-key)\s*:\s*(?!@)/i;

const MAX_SECRET_BYTES = 8 * 1024;

/** Says where the secret stands, never what it is. @throws SECRET_IN_ARGUMENTS */
export function refuseSecrets(argv: readonly string[]): void {
  for (const [index, word] of argv.entries()) {
    const option = SECRET_OPTION.exec(word)?.[0].replace('=', '');
    if (option !== undefined) throw new AccordError('SECRET_IN_ARGUMENTS', `${option}; write ${option}-file FILE`);
    const value = word.startsWith('--') ? word.slice(word.indexOf('=') + 1) : word;
    if (CREDENTIALS_IN_URL.test(value)) throw new AccordError('SECRET_IN_ARGUMENTS', 'credentials in an address');
    if (PRIVATE_KEY.test(value)) throw new AccordError('SECRET_IN_ARGUMENTS', 'a private key');
    const isHeader = argv[index - 1] === '--header' || word.startsWith('--header=');
    if (isHeader && SECRET_HEADER.test(value)) {
      throw new AccordError('SECRET_IN_ARGUMENTS', 'a header that proves who asks; write NAME:@FILE');
    }
  }
}

/** The first line of a file that nobody else may read. @throws KEY_FILE_MODE, SETTINGS_INVALID */
export function readSecretFile(file: string): string {
  const stat = statSync(file);
  if (stat.size > MAX_SECRET_BYTES) throw new AccordError('SETTINGS_INVALID', `${file} is too large for a secret`);
  // Pipes (`<(pass show api-key)`) have no mode worth judging.
  if (stat.isFile() && (stat.mode & 0o077) !== 0) throw new AccordError('KEY_FILE_MODE', file);
  return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0]?.trim() ?? '';
}
