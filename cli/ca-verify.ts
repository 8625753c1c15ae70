// `accord ca verify FILE`: validates a certificate chain (first certificate the leaf, the rest intermediates) against
// anchors, at a time, for a purpose. The files are whatever the administrator has; they are capped before they are read.
import { readFileSync, statSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type PathPurpose, type PathVerdict, validatePath } from '#certs/path.ts';
import { PATH_CODES } from '#certs/path-codes.ts';
import { MAX_PEM_CHARACTERS } from '#certs/path-limits.ts';
import { PATH_PURPOSES } from '#certs/path-rules.ts';
import { pemCertificates } from '#certs/pem.ts';
import { systemClock } from '#core/clock.ts';
import { isAccordError } from '#schemas/problems.ts';
import { CommandEnd, EXIT, type OutputOptions, print, runAction, withOutput } from './output.ts';

interface VerifyOptions extends OutputOptions {
  anchor: string[];
  at?: number;
  purpose: PathPurpose;
  allowRsa?: true;
}

/**
 * The subcommand `verify FILE`. It prints `{valid, code, detail, certificates}`: `code` is null when valid, else a row of
 * PATH_CODES, or PEM_INVALID or FILE_UNREADABLE. Exit code 0 valid, 7 refused, 2 usage, 1 a file that is no chain.
 */
export function caVerifyCommand(): Command {
  const command = new Command('verify')
    .description('validate a certificate chain against trust anchors')
    .argument('<file>', 'PEM file: the leaf first, then intermediates in any order')
    .requiredOption('--anchor <file>', 'PEM file with trusted self-signed CA certificates; may repeat', collect)
    .addOption(
      new Option('--purpose <purpose>', 'what the key is used for').choices(PATH_PURPOSES).makeOptionMandatory(),
    )
    .option('--at <time>', 'judge at this time (ISO 8601 with zone, like 2026-01-31T12:00:00Z); default now', readTime)
    .option('--allow-rsa', 'enable the RSA rows of the algorithm table');
  return withOutput(command).action(runAction(verify));
}

function collect(file: string, before: string[] = []): string[] {
  return [...before, file];
}

const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;

// A time without a zone would mean another instant on another machine; a bare date is midnight UTC.
function readTime(text: string): number {
  const atMs = ISO_TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs)) throw new InvalidArgumentError('Write an ISO 8601 time with its zone.');
  return atMs;
}

function verify(file: string, options: VerifyOptions): void {
  const verdict = readAndValidate(file, options);
  if (verdict.valid) {
    print({ valid: true, code: null, detail: '', certificates: verdict.path.length }, options);
    return;
  }
  const { code, detail } = verdict;
  print({ valid: false, code, detail, certificates: 0 }, options);
  throw new CommandEnd(EXIT.verificationFailed, `${code}: ${PATH_CODES[code]} (${detail})\nNext: docs/certificates.md`);
}

function readAndValidate(file: string, options: VerifyOptions): PathVerdict {
  const [leaf = Buffer.alloc(0), ...intermediates] = readCertificates(file, options);
  const anchors = options.anchor.flatMap((each) => readCertificates(each, options)).map((der) => ({ der }));
  return validatePath({
    leaf,
    intermediates,
    anchors,
    atMs: options.at ?? systemClock.nowMs(),
    purpose: options.purpose,
    allowRsa: options.allowRsa === true,
  });
}

// A file without certificates is an answer too, so that a script that reads the output sees one form always.
function readCertificates(file: string, options: VerifyOptions): Buffer[] {
  try {
    if (statSync(file).size > MAX_PEM_CHARACTERS) throw new Error(`larger than ${MAX_PEM_CHARACTERS} bytes`);
    return pemCertificates(readFileSync(file, 'utf8'));
  } catch (error) {
    const code = isAccordError(error, 'PEM_INVALID') ? error.code : 'FILE_UNREADABLE';
    const detail = `${file}: ${error instanceof Error ? error.message : String(error)}`;
    print({ valid: false, code, detail, certificates: 0 }, options);
    throw new CommandEnd(EXIT.failed, `${code}: ${detail}\nNext: openssl x509 -in ${file} -noout -text`);
  }
}
