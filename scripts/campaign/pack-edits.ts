// Edits of the files of an evidence pack, for campaigns and tests that damage it: each takes a copy of the files and changes it in
// place. An edit that changes nothing is a mistake of the test.
export type Files = Map<string, Buffer>;
export const NO_HASH = 'A'.repeat(43);
/** Changes a copy of the files, which are then sealed again by the exporter: what a lying department can do. */
export type Damage = (files: Files) => void;

export const set = (name: string, change: (bytes: Buffer) => Buffer | string) => (files: Files) => {
  const bytes = files.get(name);
  if (bytes === undefined) throw new TypeError(`no file ${name}`);
  files.set(name, Buffer.from(change(Buffer.from(bytes))));
};
export const text = (name: string, from: string | RegExp, to: string) =>
  set(name, (bytes) => {
    const changed = bytes.toString('latin1').replace(from, to);
    if (changed === bytes.toString('latin1')) throw new TypeError(`nothing to change in ${name}`);
    return Buffer.from(changed, 'latin1');
  });
export const drop =
  (...names: string[]) =>
  (files: Files) => {
    for (const name of names) if (!files.delete(name)) throw new TypeError(`no file ${name}`);
  };
export const copy = (from: string, to: string) => (files: Files) => {
  files.set(to, files.get(from) ?? Buffer.alloc(0));
};
export const swap = (a: string, b: string) => (files: Files) => {
  const [one, other] = [files.get(a), files.get(b)];
  files.set(a, other ?? Buffer.alloc(0)).set(b, one ?? Buffer.alloc(0));
};
export const flip = (name: string, at: number) =>
  set(name, (bytes) => {
    bytes[at < 0 ? bytes.length + at : at] = (bytes.at(at) ?? 0) ^ 1;
    return bytes;
  });

function linesOf(note: Buffer): { body: string; lines: string[] } {
  const [body = '', signed = ''] = note.toString('utf8').split('\n\n');
  return { body, lines: signed.split('\n').slice(0, -1) };
}
const noteOf = (body: string, lines: readonly string[]) => `${body}\n\n${lines.map((line) => `${line}\n`).join('')}`;

export function flipLine(note: Buffer, which: number): string {
  const { body, lines } = linesOf(note);
  const [dash, name, encoded = ''] = (lines[which] ?? '').split(' ');
  const bytes = Buffer.from(encoded, 'base64');
  bytes[30] = (bytes[30] ?? 0) ^ 1;
  return noteOf(body, lines.with(which, `${dash} ${name} ${bytes.toString('base64')}`));
}

export function withoutLine(note: Buffer, which: number): string {
  const { body, lines } = linesOf(note);
  return noteOf(body, lines.toSpliced(which, 1));
}

export function withLine(note: string, from: Buffer, which: number): string {
  return `${note}${linesOf(from).lines[which]}\n`;
}

export function otherRoot(note: Buffer): string {
  const { body, lines } = linesOf(note);
  const [origin, size] = body.split('\n');
  return noteOf(`${origin}\n${size}\n${Buffer.alloc(32).toString('base64')}`, lines);
}
