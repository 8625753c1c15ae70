// An `accord` command of the story, as it is printed for the visitor to type.

/** As it is typed into a shell, one option a line. */
export function typed(words: readonly string[]): string[] {
  const lines = ['accord'];
  for (const [at, word] of words.entries()) {
    const isOption = word.startsWith('--');
    const isValue = at > 0 && (words[at - 1] ?? '').startsWith('--') && !isOption;
    const before = lines.length - 1;
    if (isOption || (!isValue && lines.length > 1)) lines.push(`  ${quoted(word)}`);
    else lines[before] = `${lines[before]} ${quoted(word)}`;
  }
  return lines.map((line, at) => (at < lines.length - 1 ? `${line} \\` : line));
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
