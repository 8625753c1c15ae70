// The OpenAPI 3.1 description of the admin API, from the schemas that its routes check with.
import type { OpenAPIV3_1 } from 'openapi-types';
import { AccessRight } from '#schemas/access-right.ts';
import { Group, GroupFacts } from '#schemas/groups.ts';
import { HoldNote, RetentionClass } from '#schemas/retention.ts';
import { AnchoringView } from './anchoring.ts';
import { ArchiveInput, ArchiveView } from './archive.ts';
import { DoubtAnswer, ReportedDoubt } from './doubts.ts';
import { Explained, ExplainInput } from './explain.ts';
import { ConnectionMode, MaintenanceInput, MaintenanceState } from './operator.ts';
import { Destruction, DestructionInput, HoldInput, LiftInput, RuleInput } from './retention.ts';
import { AccessRightInput, InformationSystemInput, ServiceInput } from './routes.ts';

type Operation = Pick<OpenAPIV3_1.OperationObject, 'summary' | 'requestBody' | 'responses'>;
type Schema = OpenAPIV3_1.SchemaObject;

const problem = { description: 'Problem document (RFC 9457)', content: { 'application/problem+json': {} } };

function operation(summary: string, input: unknown, output: unknown, status = '200'): Operation {
  const json = (schema: unknown) => ({ 'application/json': { schema: schema as Schema } });
  const success = output === null ? { description: summary } : { description: summary, content: json(output) };
  const responses: OpenAPIV3_1.ResponsesObject = { [status]: success, default: problem };
  if (input === null) return { summary, responses };
  return { summary, requestBody: { required: true, content: json(input) }, responses };
}

const list = (item: unknown) => ({
  type: 'object',
  required: ['items'],
  properties: { items: { type: 'array', items: item } },
});
const query = (name: string): OpenAPIV3_1.ParameterObject => ({ name, in: 'query', schema: { type: 'string' } });
const parameter = (name: string): OpenAPIV3_1.ParameterObject => ({
  name,
  in: 'path',
  required: true,
  schema: { type: 'string' },
});

/** The document served at /openapi.json. */
export function openApiDocument(): OpenAPIV3_1.Document {
  const object = { type: 'object' };
  return {
    openapi: '3.1.0',
    info: { title: 'Accord security server: administration', version: '1' },
    security: [{ apiKey: [] }],
    components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
    // The library's types ask for every optional member to be absent rather than undefined.
    paths: {
      '/services': {
        get: operation('Services of this server and where their backends live', null, list(ServiceInput)),
        put: operation('Add or change a service', ServiceInput, ServiceInput),
      },
      '/services/{id}': {
        parameters: [parameter('id')],
        delete: operation('Remove a service', null, null, '204'),
      },
      '/service-descriptions/{id}': {
        parameters: [parameter('id')],
        put: operation('Keep the OpenAPI document of a service, for getOpenAPI and listMethods', object, object),
        delete: operation('Forget the OpenAPI document of a service', null, null, '204'),
      },
      '/groups': {
        get: operation('Local groups of subsystems, for access rights', null, list(Group)),
        put: operation('Make a local group, or change its title', GroupFacts, Group),
      },
      '/groups/{code}': {
        parameters: [parameter('code')],
        delete: operation('Remove a local group that no access right names', null, null, '204'),
      },
      '/groups/{code}/members/{subsystem}': {
        parameters: [parameter('code'), parameter('subsystem')],
        put: operation('Add a subsystem to a local group', null, Group),
        delete: operation('Take a subsystem out of a local group', null, null, '204'),
      },
      '/access-rights': {
        get: operation('Access rights this provider grants', null, list(AccessRight)),
        post: operation('Grant an access right', AccessRightInput, AccessRight, '201'),
      },
      '/access-rights/explain': {
        post: operation('Which access right decides a request', ExplainInput, list(Explained)),
      },
      '/access-rights/{id}': {
        parameters: [parameter('id')],
        delete: operation('Withdraw an access right', null, null, '204'),
      },
      '/information-systems': {
        get: operation('Systems that may speak for the subsystems', null, list(InformationSystemInput)),
        put: operation('Register the certificate of a system', InformationSystemInput, InformationSystemInput),
      },
      '/information-systems/{hash}/{subsystem}': {
        parameters: [parameter('hash'), parameter('subsystem')],
        delete: operation('Remove the certificate of a system', null, null, '204'),
      },
      '/connection-modes': {
        get: operation('Subsystems whose systems connect in another way than usual', null, list(ConnectionMode)),
        put: operation('Say how the systems of a subsystem connect', ConnectionMode, ConnectionMode),
      },
      '/connection-modes/{subsystem}': {
        parameters: [parameter('subsystem')],
        delete: operation('Back to usual: a registered certificate, or plain HTTP on this machine', null, null, '204'),
      },
      '/maintenance': {
        get: operation('Whether this server is in maintenance', null, MaintenanceState),
        put: operation('Begin no new exchanges and answer none', MaintenanceInput, MaintenanceState),
        delete: operation('End the maintenance', null, MaintenanceState),
      },
      '/doubts': {
        parameters: [query('state'), query('after'), query('limit')],
        get: operation('Reports of doubt about values that this server gave', null, list(ReportedDoubt)),
      },
      '/doubts/{id}/answer': {
        parameters: [parameter('id')],
        post: operation('Answer a report of doubt', DoubtAnswer, ReportedDoubt),
      },
      ...evidencePaths(),
      '/status': { get: operation('State of log, configuration and admission', null, object) },
      '/keys/reload': { post: operation('Read keys and certificates of the data folder again', null, object) },
      '/configuration/refresh': { post: operation('Ask the registry for news now', null, object) },
    } as unknown as OpenAPIV3_1.PathsObject,
  };
}

/** Anchoring, archive, retention. */
function evidencePaths(): object {
  const object = { type: 'object' };
  return {
    '/anchoring': {
      get: operation('How far the message log is anchored', null, AnchoringView),
      post: operation('Anchor it now, and say how far it is', null, AnchoringView),
    },
    '/archive': {
      get: operation('How far the message log is archived', null, ArchiveView),
      post: operation('Begin to archive what is old enough', ArchiveInput, ArchiveView, '202'),
    },
    '/retention/classes': {
      get: operation('Retention classes, and changes that wait for a second person', null, list(RetentionClass)),
      put: operation('Ask for a retention class, or for a change of one', RetentionClass, RetentionClass, '202'),
    },
    '/retention/classes/{id}/approve': {
      parameters: [parameter('id')],
      post: operation(
        'Approve a retention class, as it was seen, as the second person',
        RetentionClass,
        RetentionClass,
      ),
    },
    '/retention/classes/{id}/change': {
      parameters: [parameter('id')],
      delete: operation('Take back a change of a retention class that waits', null, null, '204'),
    },
    '/retention/rules': {
      get: operation('Retention classes of records of own requests', null, list(RuleInput)),
      put: operation('Give records of own requests a retention class', RuleInput, RuleInput),
    },
    '/retention/plan': { get: operation('What is due for destruction, and what is held', null, object) },
    '/retention/destructions': {
      get: operation('Requests for destruction and what became of them', null, list(Destruction)),
      post: operation('Request a destruction', DestructionInput, Destruction, '201'),
    },
    '/retention/destructions/{id}': {
      parameters: [parameter('id')],
      get: operation('One destruction, with its certificate', null, Destruction),
      delete: operation('Withdraw a request for destruction', null, Destruction),
    },
    '/retention/destructions/{id}/approve': {
      parameters: [parameter('id')],
      post: operation('Destroy, as the second person', null, Destruction),
    },
    '/retention/holds': {
      get: operation('Holds that keep records from destruction', null, list(HoldNote)),
      post: operation('Place a hold', HoldInput, HoldNote, '201'),
    },
    '/retention/holds/{id}/lift': {
      parameters: [parameter('id')],
      post: operation('Ask for a hold to be lifted, or lift it as the second person', LiftInput, object),
    },
  };
}
