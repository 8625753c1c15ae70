// A publisher of its own for tests of the configuration client: a folder of files that the tests can also fill with what
// the registry never would publish, and a clock in the test's hand.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeys } from '#certs/keys.ts';
import type { Clock } from '#core/clock.ts';
import {
  type ConfigurationClient,
  type ConfigurationClientOptions,
  openConfigurationClient,
} from '#core/configuration/client.ts';
import { distrustFile } from '#core/configuration/distrust.ts';
import { fetchFromFolder } from '#core/configuration/fetch.ts';
import { hashesOf, partsOf, type RegistryState } from '#core/configuration/parts.ts';
import {
  anchorOf,
  payloadOf,
  planRoot,
  type RootPlan,
  signDistrust,
  signFile,
  signFreshness,
} from '#core/configuration/sign.ts';
import { fileHash, type VerifiedRoot, verifyAnchoredRoot, verifyNextRoot } from '#core/configuration/verify.ts';
import { base64url } from '#schemas/base64url.ts';
import type { RegisteredMember } from '#schemas/registrations.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const pair = () => generateKeys('P-256').privateKey;
export const [rootKey, ann, bob, online] = [pair(), pair(), pair(), pair()] as const;

class TestClock implements Clock {
  ms = 1_800_000_000_000;
  wallMs = 0;
  nowMs = () => this.ms + this.wallMs;
  monotonicMs = () => this.ms;
}

export function member(id: string, at: number): RegisteredMember {
  const certificate = (use: string) => base64url(Buffer.from(`${use} certificate of ${id} ${at}`));
  const server = {
    code: 'ss1',
    address: 'https://ss1.example:5500',
    authenticationCertificates: [certificate('authentication')],
    signingCertificates: [certificate('signing')],
    encryptionKeys: [],
    subjectKeys: [],
    subsystems: [`${id}/a`],
    log: { origin: `example/${id}`, key: 'A'.repeat(43) },
  };
  return { id, name: `Member ${id}`, subsystems: [{ code: 'a', name: 'A' }], servers: [server] };
}

/** A publisher of its own, so that it can publish what the registry never would. */
class Site {
  readonly folder = mkdtempSync(join(tmpdir(), 'accord-site-'));
  readonly clock: TestClock;
  root: VerifiedRoot;
  readonly plan: RootPlan;
  readonly anchor;
  previous: { version: number; hash: string } | null = null;
  statements: string[] = [];
  /** Versions that the next content confirms, and what it lifts. */
  confirm = 0;
  lifted: string[] = [];

  constructor(clock: TestClock) {
    this.clock = clock;
    this.plan = {
      instance: 'TEST',
      rootKeys: [{ key: rootKey, person: 'Root' }],
      rootThreshold: 1,
      approvers: [
        { key: ann, person: 'Ann' },
        { key: bob, person: 'Bob' },
      ],
      freshness: [{ key: online, person: 'registry' }],
      expiresAtMs: clock.ms + 365 * 24 * HOUR,
    };
    const payload = planRoot(this.plan);
    const file = signFile('root', payload, [rootKey]);
    const root = { document: JSON.parse(payload.toString()), file, hash: fileHash(file) };
    this.anchor = anchorOf(root, ['http://127.0.0.1:1/']);
    this.root = verifyAnchoredRoot(file, this.anchor);
    mkdirSync(join(this.folder, 'parts'));
    this.write('root.1.jws', file);
  }

  /** The next root with these changes; signed by `keys`. */
  rotate(change: Partial<RootPlan>, keys = [rootKey]): void {
    const file = signFile('root', planRoot({ ...this.plan, ...change, previous: this.root }), keys);
    this.write(`root.${this.root.document.version + 1}.jws`, file);
    this.root = verifyNextRoot(file, this.root);
  }

  write(name: string, bytes: Buffer): void {
    writeFileSync(join(this.folder, name), bytes);
  }

  publish(
    version: number,
    members: RegisteredMember[],
    approvers = [ann, bob],
    more: Partial<RegistryState> = {},
  ): string {
    const state: RegistryState = {
      members,
      services: [],
      trust: { anchors: [], intermediates: [], crls: [] },
      limits: {},
      ...more,
    };
    const files = partsOf(state);
    for (const bytes of files.values()) this.write(`parts/${fileHash(bytes)}`, bytes);
    const payload = payloadOf({
      v: 1,
      instance: 'TEST',
      version,
      root: { version: this.root.document.version, hash: this.root.hash },
      previous: this.previous,
      parts: hashesOf(files),
      distrust: this.named(this.confirm),
      distrustLifted: this.lifted,
      issuedAtMs: this.clock.ms,
      expiresAtMs: this.clock.ms + 7 * 24 * HOUR,
    });
    const file = signFile('content', payload, approvers);
    this.write(`content.${version}.jws`, file);
    this.previous = { version, hash: fileHash(file) };
    this.sign();
    return fileHash(file);
  }

  sign(content = this.previous): void {
    const root = { version: this.root.document.version, hash: this.root.hash };
    if (!content) throw new Error('nothing published');
    const distrust = this.named(this.statements.length);
    const statement = { instance: 'TEST', root, content, distrust, signedAtMs: this.clock.ms };
    this.write('freshness.jws', signFreshness(statement, online));
  }

  named(version: number): { version: number; hash: string } | null {
    return version === 0 ? null : { version, hash: fileHash(distrustFile('TEST', this.statements.slice(0, version))) };
  }

  distrust(value: string, key = ann): string {
    const statement = { instance: 'TEST', kind: 'key' as const, value, atMs: this.clock.ms, reason: 'lost' };
    this.statements.push(signDistrust(statement, key, 'approver'));
    this.write(`distrust.${this.statements.length}.jws`, distrustFile('TEST', this.statements));
    this.sign();
    return fileHash(Buffer.from(this.statements.at(-1) ?? '', 'latin1'));
  }
}

export function setUp(t: { teardown(run: () => unknown): unknown }) {
  const clock = new TestClock();
  const site = new Site(clock);
  const folder = mkdtempSync(join(tmpdir(), 'accord-configuration-'));
  const alarms: string[] = [];
  const open = (
    fetch = [fetchFromFolder(site.folder)],
    more: Partial<ConfigurationClientOptions> = {},
  ): Promise<ConfigurationClient> =>
    openConfigurationClient({
      folder,
      anchor: site.anchor,
      clock,
      fetch,
      pollMs: 0,
      onAlarm: (code) => alarms.push(code),
      ...more,
    });
  t.teardown(() => {
    for (const each of [site.folder, folder]) rmSync(each, { recursive: true, force: true });
  });
  return { clock, site, folder, alarms, open };
}
