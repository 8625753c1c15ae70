// Values of options that several commands share: PERSON=FILE, whole numbers, lists, repeatable options.
import { InvalidArgumentError } from 'commander';
import { CommandEnd, EXIT } from './output.ts';

export function personAndFile(text: string): { person: string; file: string } {
  const at = text.indexOf('=');
  if (at < 1) throw new CommandEnd(EXIT.usage, `${text} is not PERSON=FILE.`);
  return { person: text.slice(0, at), file: text.slice(at + 1) };
}

export function wholeNumber(text: string, option: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new CommandEnd(EXIT.usage, `${option} ${text} is no whole number.`);
  return Number(text);
}

/** A place in a log, or a number of entries: at most 15 digits. */
export function count(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}

export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Comma-separated and repeatable, each word once. */
export function collectWords(text: string, before: string[] = []): string[] {
  return [...new Set([...before, ...text.split(',').map((word) => word.trim())])];
}
