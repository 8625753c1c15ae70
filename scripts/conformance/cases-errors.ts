// Chapters 4 and 6: errors of the exchange, and access rights as their errors show them. Form, type and status of an error are
// looked at in every case that expects one; judge.ts.
import { badRequest, type Case, rule, type Told, valuesOf } from './case.ts';
import type { Header } from './wire.ts';

const missing = { target: '/r1/{provider}/conformance-none/x' };
const unknownService = { status: 500, error: 'Server.ServerProxy.UnknownService' };

/** Accept → media type of the error. */
const CHOICES: [string | null, string][] = [
  [null, 'application/json'],
  ['*/*', 'application/json'],
  ['application/json', 'application/json'],
  ['image/png', 'application/json'],
  ['text/xml', 'text/xml'],
  ['application/xml', 'application/xml'],
  ['text/*', 'text/xml'],
  ['application/json, application/xml', 'application/xml'],
  ['application/xml, text/xml', 'application/xml'],
  ['text/xml;q=0.1, application/json', 'text/xml'],
  ['TEXT/XML', 'text/xml'],
];

const mediaType = (wanted: string) => {
  return ({ came }: Told) => {
    const type = valuesOf(came.headers, 'content-type').join().split(';')[0]?.trim().toLowerCase();
    if (type !== wanted) return `Content-Type: ${wanted}`;
    const isXml = came.body.toString('utf8').startsWith('<');
    return isXml === wanted.endsWith('xml') ? null : `a body in ${wanted}`;
  };
};

export const errors: readonly Case[] = [
  ...rule(
    '4.1',
    'JSON, or XML when Accept names text/xml, application/xml or text/*: first match wins, q ignored, XML beats JSON; anything unknown: JSON',
    CHOICES.map(([accept, wanted]) => ({
      ask: { ...missing, headers: (accept === null ? [] : [['Accept', accept]]) as Header[] },
      expect: { ...unknownService, also: mediaType(wanted) },
    })),
  ),
  ...rule('4.2', "Client.: the caller's fault (400); Server.ClientProxy., Server.ServerProxy.: 500", [
    { ask: { target: '/r1/x' }, expect: badRequest },
    { ask: missing, expect: unknownService },
    { ask: { ...missing, method: 'HEAD' }, expect: { ...unknownService, body: Buffer.alloc(0) } },
  ]),
  ...rule('4.3', 'with Prefer: accord-status the true status', [
    { ask: { ...missing, headers: [['Prefer', 'accord-status']] }, expect: { ...unknownService, status: 404 } },
    {
      ask: { ...missing, headers: [['Prefer', 'wait=1, Accord-Status;x=1']] },
      expect: { ...unknownService, status: 404 },
    },
    { ask: { client: false, headers: [['Prefer', 'accord-status']] }, expect: badRequest },
  ]),
  ...rule('4.4', 'a service missing at a known provider: Server.ServerProxy.UnknownService', [
    { ask: missing, expect: unknownService },
  ]),
  ...rule('4.5', 'client or provider not registered: Server.ClientProxy.UnknownMember', [
    {
      ask: { target: '/r1/{instance}/NONE/none/none/none/x' },
      expect: { status: 500, error: 'Server.ClientProxy.UnknownMember' },
    },
    ...['{instance}/NONE/none/none', '{instance}/NONE/no%2Fne/none'].map((client) => ({
      ask: { client: false, headers: [['X-Road-Client', client]] as Header[] },
      expect: { status: 500, error: 'Server.ClientProxy.UnknownMember' },
    })),
  ]),
  ...rule(
    '4.6',
    'a service that is disabled: Server.ServerProxy.ServiceDisabled, with the words of its administrator',
    [
      {
        ask: { target: '/r1/{disabled}/conformance/echo' },
        expect: { status: 500, error: 'Server.ServerProxy.ServiceDisabled' },
        needs: ['disabled'],
      },
    ],
  ),
  ...rule('6.1', 'deny by default: Server.ServerProxy.AccessDenied, and the backend sees nothing', [
    {
      ask: { target: '/r1/{denied}/conformance/echo' },
      expect: { status: 500, error: 'Server.ServerProxy.AccessDenied' },
      needs: ['denied'],
    },
    {
      ask: { target: '/r1/{denied}/conformance/echo', headers: [['Prefer', 'accord-status']] },
      expect: { status: 403, error: 'Server.ServerProxy.AccessDenied' },
      needs: ['denied'],
    },
  ]),
];
