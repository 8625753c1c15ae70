// The exchange that is measured, opened as in life: registry and approvers in this process, each security server in one
// of its own from its data folder, with the settings that a new server has. `node network.ts FOLDER BACKEND_URL [whole|asked]` (how
// much of the dictionary is released) prints one line when everything is published and ends when standard input does. What the servers say goes to standard error.
import { pino } from 'pino';
import { openDevNetwork } from '#cli/dev/network.ts';
import { OWN_DICTIONARY, readDictionaryFolder } from '#cli/dictionary-folder.ts';
import { systemClock } from '#core/clock.ts';
import { type AccessRight, PLAIN_TERMS } from '#schemas/access-right.ts';
import {
  ASKED,
  CLIENT,
  CONSUMER,
  description,
  ELEMENTS,
  GROUNDS,
  PROVIDER,
  PURPOSE,
  SERVICES,
  type ServiceName,
} from './assistance.ts';

export interface OpenedNetwork {
  consumerUrl: string;
  pids: { consumer: number; provider: number };
  folders: { consumer: string; provider: string };
}

type Right = Omit<AccessRight, 'id' | 'pins'>;

/** Of one bound service, and of the files. */
function rightOf(name: ServiceName): Right {
  const common = { ...PLAIN_TERMS, client: CLIENT, service: SERVICES[name] };
  if (name === 'files') return { ...common, endpoints: [{ method: 'POST', path: '/files/*' }], bases: ['open'] };
  return {
    ...common,
    endpoints: [{ method: 'POST', path: '/residents/*/assistance/*' }],
    bases: ['law'],
    purposes: [GROUNDS.purpose],
    elements: Object.values(ASKED),
    statute: '社会救助暂行办法, art. 28',
    casePattern: 'YB-####-######',
  };
}

const [folder = '', backendUrl = '', dictionary = ''] = process.argv.slice(2);
const network = await openDevNetwork({
  folder,
  instance: 'GX',
  members: [CONSUMER, PROVIDER],
  clock: systemClock,
  logger: pino({ level: 'warn' }, pino.destination(2)),
  processes: true,
});
const [consumer, provider] = network.servers;
if (consumer === undefined || provider === undefined) throw new TypeError('two servers were asked for');
const { entries } = readDictionaryFolder(OWN_DICTIONARY);
const released = dictionary === 'asked' ? entries.filter(({ id }) => ELEMENTS.has(id)) : entries;
await network.releaseDictionary('1.0.0', released);
await network.addPurposes([PURPOSE]);
for (const name of Object.keys(SERVICES) as ServiceName[]) {
  const service = { id: SERVICES[name], title: name, url: backendUrl };
  const kind =
    name === 'files'
      ? { personalData: false, safe: true }
      : { personalData: true, safe: name === 'safe', description: description(name) };
  await network.addService(provider, { ...service, ...kind });
}
await network.publish();
// A right names elements that its service gives, so the tables must have arrived.
for (const name of Object.keys(SERVICES) as ServiceName[]) await provider.call('POST', '/access-rights', rightOf(name));
const opened: OpenedNetwork = {
  consumerUrl: consumer.urls.loopback ?? '',
  pids: { consumer: consumer.pid ?? 0, provider: provider.pid ?? 0 },
  folders: { consumer: consumer.folder, provider: provider.folder },
};
console.log(JSON.stringify(opened));
const end = () => void network.close().then(() => process.exit(0));
process.once('SIGTERM', end);
process.stdin.once('end', end).resume();
