// Chapter 7: metaservices.
import { type Case, rule, type Told } from './case.ts';

/** What a caller reads out of an answer in JSON; null when it is none. */
function json({ came }: Pick<Told, 'came'>): Record<string, unknown> | null {
  try {
    const found: unknown = JSON.parse(came.body.toString('utf8'));
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

type Row = Record<string, unknown>;

function rows(told: Pick<Told, 'came'>, name: string): Row[] {
  const found = json(told)?.[name];
  return Array.isArray(found) ? found : [];
}

function memberListed(told: Told): string | null {
  const [instance, memberClass, code, subsystem] = told.fill('{client}').split('/');
  const has = (wanted: Row) =>
    rows(told, 'member').some((each) => {
      const id = (each['id'] ?? {}) as Row;
      return Object.entries(wanted).every(([name, value]) => id[name] === value) && typeof each['name'] === 'string';
    });
  const member = { xroad_instance: instance, member_class: memberClass, member_code: code };
  if (!has({ ...member, object_type: 'MEMBER' })) return 'the member of the client, as MEMBER with its name';
  const found = has({ ...member, subsystem_code: subsystem, object_type: 'SUBSYSTEM' });
  return found ? null : 'the client, as SUBSYSTEM with its name';
}

function serviceListed(told: Told): string | null {
  const [instance, memberClass, code, subsystem, service] = told.fill('{service}').split('/');
  const row = rows(told, 'service').find((each) => each['service_code'] === service);
  if (row === undefined) return 'the service among `service`';
  const wanted = {
    xroad_instance: instance,
    member_class: memberClass,
    member_code: code,
    subsystem_code: subsystem,
    object_type: 'SERVICE',
  };
  const wrong = Object.entries(wanted).filter(([name, value]) => row[name] !== value);
  if (wrong.length > 0) return `${wrong.map(([name, value]) => `${name} ${value}`).join(', ')}`;
  if (row['service_type'] !== 'REST' && row['service_type'] !== 'OPENAPI') return 'service_type REST or OPENAPI';
  const endpoints = row['endpoint_list'];
  const isList = Array.isArray(endpoints) && endpoints.every(({ method, path }) => method && path);
  return isList ? null : 'endpoint_list with method and path';
}

/** Nothing is allowed that is not there. */
function subset(told: Told): string | null {
  const listed = told.earlier('/r1/{provider}/listMethods');
  const all = new Set(
    listed === undefined ? [] : rows({ came: listed }, 'service').map((each) => each['service_code']),
  );
  const more = rows(told, 'service').filter((each) => !all.has(each['service_code']));
  return more.length === 0 ? serviceListed(told) : 'nothing that listMethods does not list';
}

/** Servers keep the path of their address only. */
function withoutHosts(told: Told): string | null {
  const description = json(told);
  if (typeof description?.['openapi'] !== 'string') return 'a description with `openapi`';
  const hosts = rows(told, 'servers').map((each) => String(each['url'] ?? ''));
  return hosts.some((url) => /^[a-z][a-z0-9+.-]*:|^\/\//i.test(url)) ? `servers without host names: ${hosts}` : null;
}

const meta = (name: string, more: object = {}) => ({ target: `/r1/{provider}/${name}`, ...more });

export const metaservices: readonly Case[] = [
  ...rule('7.1', 'GET /listClients without X-Road-Client: XML by default, JSON for Accept: application/json', [
    {
      ask: { target: '/listClients', client: false, headers: [['Accept', 'application/json']] },
      expect: { status: 200, headers: { 'content-type': /^application\/json/ }, also: memberListed },
    },
    {
      ask: { target: '/listClients', client: false },
      expect: { status: 200, headers: { 'content-type': /^(?:text|application)\/xml/ }, body: /^<\?xml|^</ },
    },
    {
      ask: {
        target: '/listClients?xRoadInstance={instance}',
        client: false,
        headers: [['Accept', 'application/json']],
      },
      expect: { status: 200, also: memberListed },
    },
  ]),
  ...rule('7.2', 'listMethods: all services of the provider; needs no access right', [
    { ask: meta('listMethods'), expect: { status: 200, also: serviceListed } },
  ]),
  ...rule('7.3', 'allowedMethods: those that the client may use, a part of listMethods', [
    { ask: meta('allowedMethods'), expect: { status: 200, also: subset } },
  ]),
  ...rule(
    '7.4',
    'metaservices with other verbs: UnknownService',
    ['POST', 'PUT', 'DELETE'].map((method) => ({
      ask: meta('listMethods', { method }),
      expect: { status: 500, error: 'Server.ServerProxy.UnknownService' },
    })),
  ),
  ...rule('7.5', 'getOpenAPI?serviceCode=…: the description without host names; without serviceCode: InvalidRequest', [
    { ask: meta('getOpenAPI'), expect: { status: 500, error: 'Server.ServerProxy.InvalidRequest' } },
    {
      ask: meta('getOpenAPI?serviceCode={service code}'),
      expect: { status: 200, also: withoutHosts },
      needs: ['described'],
    },
  ]),
];
