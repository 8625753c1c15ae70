// Signed notes and checkpoints against the examples published with the format, against openssl, and against every
// changed byte.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import {
  checkpointText,
  formatVerifierKey,
  noteVerifier,
  openCheckpoint,
  openNote,
  parseCheckpointText,
  parseNote,
  parseVerifierKey,
  signNote,
} from '#core/log/signed-note.ts';

// The example of the Go reference implementation (golang.org/x/mod/sumdb/note).
const VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const NOTE = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.

\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`;
// The examples of c2sp.org/signed-note and c2sp.org/tlog-checkpoint; their keys are not published.
const SPEC_NOTE = `Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

\u2014 quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
`;
const SPEC_CHECKPOINT = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`;

t.test('published notes', async (t) => {
  const verifier = parseVerifierKey(VKEY);
  t.equal(verifier.keyId.toString('hex'), 'c74f20a3');
  t.equal(formatVerifierKey(verifier), VKEY);
  t.equal(openNote(NOTE, verifier).text, NOTE.slice(0, NOTE.indexOf('\n\n') + 1));
  t.throws(() => openNote(SPEC_NOTE, verifier), { code: 'NOTE_SIGNATURE_WRONG' }, 'only another key signed');
  const spec = parseNote(Buffer.from(SPEC_NOTE));
  t.match(spec.text, /:\n\ned è subito sera\.\n$/u, 'the last empty line divides');
  t.match(spec.signatures, [{ name: 'quasimodo.example/salvatore', keyId: Buffer.from('367ba04b', 'hex') }]);
  const checkpoint = parseCheckpointText(parseNote(SPEC_CHECKPOINT).text);
  t.match(checkpoint, { origin: 'example.com/behind-the-sofa', size: 20852163 });
  t.equal(`${checkpointText(checkpoint)}`, parseNote(SPEC_CHECKPOINT).text);
});

t.test('malformed notes, keys and checkpoints', async (t) => {
  const line = NOTE.slice(NOTE.indexOf('\u2014'));
  const notes: [string, string | Buffer][] = [
    ['empty', ''],
    ['no signature', 'text\n\n'],
    ['no empty line', `text\n${line}`],
    ['empty text', `\n\n${line}`.slice(1)],
    ['hyphen for dash', NOTE.replace('\u2014', '-')],
    ['carriage return', NOTE.replace('\n', '\r\n')],
    ['tab', NOTE.replace('answer', 'ans\twer')],
    ['plus in the name', NOTE.replace('PeterNeumann', 'Peter+Neumann')],
    ['no final newline', NOTE.slice(0, -1)],
    ['words behind the signature', `${NOTE.slice(0, -1)} x\n`],
    ['base64 with spare bits', NOTE.replace('BwJnAM=', 'BwJnAN=')],
    ['base64 without padding', NOTE.replace('AM=\n', 'AM\n')],
    ['base64url', NOTE.replace('o/ZJ', 'o_ZJ')],
    ['only a key id', `text\n\n\u2014 n ${Buffer.alloc(4).toString('base64')}\n`],
    ['not UTF-8', Buffer.concat([Buffer.from([0xff]), Buffer.from(NOTE)])],
    ['too large', `${'x'.repeat(70_000)}${NOTE}`],
    ['too many signatures', NOTE + line.repeat(100)],
  ];
  for (const [name, note] of notes) t.throws(() => parseNote(note), { code: 'NOTE_MALFORMED' }, name);
  const verifier = parseVerifierKey(VKEY);
  t.doesNotThrow(() => openNote(NOTE + line.repeat(15), verifier), 'sixteen signatures');
  const bad = line.replace('x08go/Z', 'x08go/Y');
  t.throws(() => openNote(NOTE + bad, verifier), { code: 'NOTE_SIGNATURE_WRONG' }, 'a bad line of a known key');
  t.doesNotThrow(() => openNote(NOTE + line.replace('x08g', 'x08h'), verifier), 'another key of that name is ignored');
  for (const key of [
    '',
    'n',
    VKEY.replace('c7', 'c8'),
    VKEY.replace('ARpc', 'AhpC'),
    VKEY.replace('Peter', 'Pe ter'),
  ]) {
    t.throws(() => parseVerifierKey(key), { code: 'NOTE_MALFORMED' }, key);
  }
  const root = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
  for (const text of [
    `\n1\n${root}\n`,
    `o\n01\n${root}\n`,
    `o\n-1\n${root}\n`,
    `o\n1e3\n${root}\n`,
    `o\n99999999999999999\n${root}\n`,
    `o\n1\n${root.slice(4)}\n`,
    `o\n1\n${root}\nextension\n`,
    `o\n1\n${root}\n\n`,
    `o\n1\n${root}`,
  ]) {
    t.throws(() => parseCheckpointText(text), { code: 'NOTE_MALFORMED' }, JSON.stringify(text));
  }
});

t.test('our own checkpoints: verified by openssl, and refused with any byte changed', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const verifier = noteVerifier('accord.example/ss1', rawEd25519PublicKey(privateKey));
  t.same(verifier, noteVerifier('accord.example/ss1', rawEd25519PublicKey(publicKey)));
  const text = checkpointText({ origin: verifier.name, size: 3, root: Buffer.alloc(32, 7) });
  const note = signNote(text, verifier, (bytes) => signEd25519(privateKey, bytes));
  t.match(openCheckpoint(note, verifier), { origin: 'accord.example/ss1', size: 3 });
  const folder = mkdtempSync(join(tmpdir(), 'accord-note-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'key.pem'), publicKey.export({ format: 'pem', type: 'spki' }));
  writeFileSync(join(folder, 'text'), text);
  writeFileSync(join(folder, 'signature'), parseNote(note).signatures[0]!.signature);
  const command = 'pkeyutl -verify -pubin -inkey key.pem -rawin -in text -sigfile signature';
  t.match(execFileSync('openssl', command.split(' '), { cwd: folder, encoding: 'utf8' }), 'Verified Successfully');
  const bytes = Buffer.from(note, 'utf8');
  for (const [i, byte] of bytes.entries()) {
    for (const bit of [1, 0x20]) {
      const changed = Buffer.from(bytes);
      changed[i] = byte ^ bit;
      try {
        openCheckpoint(changed, verifier);
        t.fail(`byte ${i} changed by ${bit} is accepted`);
      } catch (error) {
        const { code } = error as { code?: string };
        if (code !== 'NOTE_MALFORMED' && code !== 'NOTE_SIGNATURE_WRONG') t.fail(`byte ${i}: ${error}`);
      }
    }
  }
  const other = noteVerifier('accord.example/ss2', verifier.publicKey);
  const foreign = signNote(text, other, (bytes) => signEd25519(privateKey, bytes));
  t.throws(() => openCheckpoint(foreign, other), { code: 'NOTE_MALFORMED' }, 'a checkpoint of another origin');
});
