// X-Road's metaservices over two real servers: exact shapes, the codes of refusals, what each client is told and not told,
// and that every one of them is an exchange in both logs.
import t from 'tap';
import { descriptionBytes, descriptionHashOf } from '#core/configuration/description.ts';
import { describedEndpoints } from '#policy/service-endpoints.ts';
import { MAX_BODY_BYTES } from '#schemas/limits.ts';
import { accessRight, CLIENT, CONSUMER, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { auditBoth } from './asking.ts';

const PROVIDER_SUBSYSTEM = 'DEV/GOV/2002/provider';
const PETS = `${PROVIDER_SUBSYSTEM}/pets`;
const OTHER_CLIENT = 'DEV/GOV/1001/other';
const DOCUMENT = {
  openapi: '3.1.0',
  info: { title: 'Pets', version: '1' },
  servers: [{ url: 'https://pets.internal.example:8443/v1' }],
  paths: { '/pet/{petId}': { get: {}, delete: {} }, '/pet': { post: {} } },
};

interface Listed {
  service: { service_code: string; endpoint_list: { method: string; path: string }[] }[];
}

interface Told {
  status: number;
  error: string | null;
  type: string | null;
  id: string;
  text: string;
  json: Listed & Record<string, unknown>;
}

async function r1(pair: Pair, target: string, init: RequestInit = {}, client = CLIENT): Promise<Told> {
  const headers = { 'X-Road-Client': client, ...(init.headers as Record<string, string>) };
  const answer = await fetch(`${pair.consumer.urls.loopback}${target}`, { ...init, headers });
  const text = await answer.text();
  const type = answer.headers.get('content-type');
  return {
    status: answer.status,
    error: answer.headers.get('x-road-error'),
    type,
    id: answer.headers.get('x-road-request-id') ?? '',
    text,
    json: type?.includes('json') && text !== '' ? JSON.parse(text) : null,
  };
}

const meta = (pair: Pair, code: string, client = CLIENT) => r1(pair, `/r1/${PROVIDER_SUBSYSTEM}/${code}`, {}, client);
const codes = ({ json }: Told) => json.service.map((one) => one.service_code);

async function openPets(t: { teardown(run: () => unknown): void }): Promise<Pair> {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { configuration, provider, backend, consumer, identities } = pair;
  configuration.register(CONSUMER, consumer.urls.peer, [CLIENT, OTHER_CLIENT], identities.consumer);
  const bytes = descriptionBytes(DOCUMENT);
  const registered = { id: PETS, title: 'Pets', bindingHash: null, personalData: false, safe: true };
  configuration.services.set(PETS, { ...registered, type: 'OPENAPI', descriptionHash: descriptionHashOf(bytes) });
  const local = { ...{ id: PETS, title: 'Pets', enabled: true, notice: null, timeoutMs: 5_000 } };
  provider.parts.state.putService({ ...local, url: `${backend.url}/v1`, personalData: false, safe: true });
  const endpoints = describedEndpoints(DOCUMENT);
  provider.parts.state.putDescription(PETS, { hash: descriptionHashOf(bytes), bytes, endpoints });
  return pair;
}

t.test('what there is, and what of it may be called', async (t) => {
  const pair = await openPets(t);
  const { state } = pair.provider.parts;
  const id = { member_class: 'GOV', member_code: '2002', object_type: 'SERVICE' };
  const place = { subsystem_code: 'provider', xroad_instance: 'DEV' };
  const all = {
    service: [
      { ...id, service_code: 'echo', service_type: 'REST', ...place, endpoint_list: [] },
      {
        ...{ ...id, service_code: 'pets', service_type: 'OPENAPI', ...place },
        endpoint_list: [
          { method: 'POST', path: '/pet' },
          { method: 'DELETE', path: '/pet/*' },
          { method: 'GET', path: '/pet/*' },
        ],
      },
    ],
  };
  const listed = await meta(pair, 'listMethods');
  t.match(listed, { status: 200, error: null, type: 'application/json' });
  t.equal(listed.text, JSON.stringify(all), 'the exact shape');
  t.equal((await meta(pair, 'listMethods', OTHER_CLIENT)).text, listed.text, 'needs no access right');
  t.same(codes(await meta(pair, 'allowedMethods')), ['echo'], 'a right to the whole service');
  t.same((await meta(pair, 'allowedMethods', OTHER_CLIENT)).json, { service: [] });

  state.putGroup({ code: 'vets', title: 'Vets' });
  state.addToGroup('vets', OTHER_CLIENT);
  const nowMs = Date.now();
  const grant = (number: number, over: Parameters<typeof accessRight>[0]) =>
    state.putRight(accessRight({ id: `00000000-0000-4000-8000-00000000000${number}`, service: PETS, ...over }));
  grant(2, { client: 'local-group:vets', endpoints: [{ method: 'GET', path: '/pet/**' }] });
  grant(3, { client: OTHER_CLIENT, endpoints: [{ method: '*', path: '/pet' }], notAfterMs: nowMs - 1 });
  grant(4, { client: OTHER_CLIENT, service: SERVICE, endpoints: [{ method: 'GET', path: '/secret' }] });
  const allowed = await meta(pair, 'allowedMethods', OTHER_CLIENT);
  t.same(
    allowed.json.service.map((one) => [one.service_code, one.endpoint_list]),
    [
      ['echo', [{ method: 'GET', path: '/secret' }]],
      [
        'pets',
        [
          { method: 'GET', path: '/pet/*' },
          { method: 'GET', path: '/pet/**' },
        ],
      ],
    ],
    'through the group, on the endpoint, as long as it is valid',
  );
  const wider = (await meta(pair, 'listMethods', OTHER_CLIENT)).json.service;
  for (const one of allowed.json.service) {
    const same = wider.find(({ service_code }) => service_code === one.service_code);
    for (const endpoint of one.endpoint_list) t.ok(same?.endpoint_list.some((each) => each.path === endpoint.path));
  }
  t.notMatch((await meta(pair, 'listMethods')).text, /secret/, 'what others may call is nothing to it');

  // What is listed as allowed is what the decision lets through, and nothing else.
  for (const [method, path, status] of [
    ['GET', '/pet/7', 200],
    ['DELETE', '/pet/7', 500],
    ['POST', '/pet', 500],
  ] as const) {
    t.equal((await r1(pair, `/r1/${PETS}${path}`, { method }, OTHER_CLIENT)).status, status, `${method} ${path}`);
  }
  state.removeFromGroup('vets', OTHER_CLIENT);
  t.same(codes(await meta(pair, 'allowedMethods', OTHER_CLIENT)), ['echo'], 'at once');
  pair.configuration.locks.set(OTHER_CLIENT, '0198b4f0-0000-7000-8000-000000000001');
  t.same(codes(await meta(pair, 'allowedMethods', OTHER_CLIENT)), [], 'a locked client may call nothing');

  const seen = pair.backend.seen.length;
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']) {
    const told = await r1(pair, `/r1/${PROVIDER_SUBSYSTEM}/listMethods`, { method });
    t.match(told, { status: 500, error: 'Server.ServerProxy.UnknownService' }, method);
  }
  t.match(await meta(pair, 'allowedMethods/x'), { error: 'Server.ServerProxy.UnknownService' });
  t.match(await meta(pair, 'listmethods'), { error: 'Server.ServerProxy.UnknownService' });
  t.match(await r1(pair, '/r1/DEV/GOV/9/none/listMethods'), { error: 'Server.ClientProxy.UnknownMember' });
  t.equal(pair.backend.seen.length, seen, 'no backend is asked');

  const kinds = ({ log }: Pair['provider']['parts']) => log.find(null, listed.id).map(({ entry }) => entry.kind);
  t.same(kinds(pair.consumer.parts).toSorted(), ['request-sent', 'response-received']);
  t.same(kinds(pair.provider.parts).toSorted(), ['request-received', 'response-sent']);
  await auditBoth(t, pair);
});

t.test('descriptions', async (t) => {
  const pair = await openPets(t);
  const { state } = pair.provider.parts;
  const described = await meta(pair, 'getOpenAPI?serviceCode=pets', OTHER_CLIENT);
  t.match(described, { status: 200, error: null, type: 'application/json' });
  t.same(described.json, { ...DOCUMENT, servers: [{ url: '/v1' }] });
  const refusals: [string, string][] = [
    ['getOpenAPI', 'InvalidRequest'],
    ['getOpenAPI?', 'InvalidRequest'],
    ['getOpenAPI?serviceCode=', 'InvalidRequest'],
    ['getOpenAPI?servicecode=pets', 'InvalidRequest'],
    ['getOpenAPI?serviceCode=pets&serviceCode=echo', 'InvalidRequest'],
    ['getOpenAPI?serviceCode=none', 'UnknownService'],
    ['getOpenAPI?serviceCode=echo', 'UnknownService'],
    ['getOpenAPI?serviceCode=listMethods', 'UnknownService'],
    ['getOpenAPI?serviceCode=../../x/y/pets', 'UnknownService'],
  ];
  for (const [target, code] of refusals) {
    const told = await meta(pair, target);
    t.match(told, { status: 500, error: `Server.ServerProxy.${code}` }, target);
    t.match(told.json['detail'], /^[0-9a-f-]{36}$/);
  }
  // Larger than what is held in memory on the way.
  const large = { ...DOCUMENT, info: { ...DOCUMENT.info, description: 'x'.repeat(2 * MAX_BODY_BYTES) } };
  const bytes = descriptionBytes(large);
  const description = { hash: descriptionHashOf(bytes), bytes, endpoints: [] };
  state.putDescription(PETS, description);
  t.match(
    await meta(pair, 'getOpenAPI?serviceCode=pets'),
    { error: 'Server.ServerProxy.UnknownService' },
    'only what is registered',
  );
  const registered = pair.configuration.services.get(PETS);
  if (registered === undefined) throw new TypeError('registered above');
  pair.configuration.services.set(PETS, { ...registered, descriptionHash: description.hash });
  t.same((await meta(pair, 'getOpenAPI?serviceCode=pets')).json, { ...large, servers: [{ url: '/v1' }] });
  t.equal(pair.consumer.parts.spool.held() + pair.provider.parts.spool.held(), 0);
  await auditBoth(t, pair);
});

t.test('clients', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const ask = async (query: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${pair.consumer.urls.loopback}/listClients${query}`, { headers });
    const type = answer.headers.get('content-type');
    return { status: answer.status, type, error: answer.headers.get('x-road-error'), text: await answer.text() };
  };
  const member = (code: string) => ({
    member_class: 'GOV',
    member_code: code,
    object_type: 'MEMBER',
    xroad_instance: 'DEV',
  });
  const subsystem = (code: string, name: string) => ({
    ...{
      member_class: 'GOV',
      member_code: code,
      object_type: 'SUBSYSTEM',
      subsystem_code: name,
      xroad_instance: 'DEV',
    },
  });
  const expected = {
    member: [
      { id: member('1001'), name: 'Department DEV/GOV/1001' },
      {
        id: subsystem('1001', 'consumer'),
        name: 'Department DEV/GOV/1001',
        subsystem_name: 'System of DEV/GOV/1001/consumer',
      },
      { id: member('2002'), name: 'Department DEV/GOV/2002' },
      {
        id: subsystem('2002', 'provider'),
        name: 'Department DEV/GOV/2002',
        subsystem_name: 'System of DEV/GOV/2002/provider',
      },
    ],
  };
  const json = await ask('', { accept: 'text/plain, application/json;q=0.5' });
  t.match(json, { status: 200, type: 'application/json' });
  t.equal(json.text, JSON.stringify(expected));
  t.equal((await ask('?xRoadInstance=DEV', { accept: 'application/json' })).text, json.text);
  for (const headers of [{}, { accept: '*/*' }, { accept: 'text/xml' }]) {
    const xml = await ask('', headers);
    t.match(xml, { status: 200, type: 'text/xml; charset=utf-8' });
    t.match(
      xml.text,
      /^<\?xml version="1.0" encoding="UTF-8"\?>\n<xroad:clientList xmlns:xroad="http:\/\/x-road.eu\/xsd\/xroad.xsd"/,
    );
    t.match(
      xml.text,
      '<xroad:member><xroad:id id:objectType="SUBSYSTEM"><id:xRoadInstance>DEV</id:xRoadInstance><id:memberClass>GOV</id:memberClass><id:memberCode>1001</id:memberCode><id:subsystemCode>consumer</id:subsystemCode></xroad:id><xroad:name>Department DEV/GOV/1001</xroad:name><xroad:subsystemName>System of DEV/GOV/1001/consumer</xroad:subsystemName></xroad:member>',
    );
  }
  t.match(await ask('?xRoadInstance=EE'), { status: 400, error: 'Client.BadRequest' });
});
