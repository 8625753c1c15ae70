// Local groups in the admin API of the provider's server: subsystems that get the same access rights. Who is added gets, at
// once, what every right of the group gives. The administrator controls the input.

import type { FastifyInstance } from 'fastify';
import { GroupFacts, MAX_GROUP_MEMBERS } from '#schemas/groups.ts';
import { LOCAL_GROUP, SEGMENT_PATTERN, SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const checkGroup = compile(GroupFacts, 'SCHEMA_MISMATCH');
const MemberPath = Type.Object(
  { code: Type.String({ pattern: `^${SEGMENT_PATTERN}$` }), '*': Type.String({ pattern: SUBSYSTEM_ID_PATTERN }) },
  { additionalProperties: false },
);
const checkMember = compile(MemberPath, 'SCHEMA_MISMATCH');

const MAX_GROUPS = 1_000;

export function addGroupRoutes(app: FastifyInstance, server: ServerParts): void {
  const { state } = server;
  const find = (code: string) => state.groups().find((group) => group.code === code) ?? null;
  app.get('/groups', async () => ({ items: state.groups() }));
  app.put('/groups', async (request, reply) => {
    const group = checkGroup(request.body);
    if (find(group.code) === null && state.groups().length >= MAX_GROUPS) {
      throw new AccordError('REGISTRATION_LIMIT', `${MAX_GROUPS} groups`);
    }
    state.putGroup(group);
    return reply.send(find(group.code));
  });
  app.delete<{ Params: { code: string } }>('/groups/:code', async (request, reply) => {
    const { code } = request.params;
    // Else a group that is made again under its code would get what the old one had.
    const right = state.rights().find(({ client }) => client === LOCAL_GROUP + code);
    if (right !== undefined) throw new AccordError('REGISTRATION_IN_USE', `the access right ${right.id}`);
    if (!state.removeGroup(code)) throw new AccordError('NOT_FOUND');
    return reply.code(204).send();
  });
  app.put('/groups/:code/members/*', async (request, reply) => {
    const { code, '*': subsystem } = checkMember(request.params);
    const group = find(code);
    if (group === null) throw new AccordError('NOT_FOUND', `no group ${code}`);
    if (!server.configuration.current().hasSubsystem(subsystem)) throw new AccordError('CLIENT_UNKNOWN', subsystem);
    if (group.members.length >= MAX_GROUP_MEMBERS) {
      throw new AccordError('REGISTRATION_LIMIT', `${MAX_GROUP_MEMBERS} members`);
    }
    state.addToGroup(code, subsystem);
    return reply.send(find(code));
  });
  app.delete('/groups/:code/members/*', async (request, reply) => {
    const { code, '*': subsystem } = checkMember(request.params);
    if (!state.removeFromGroup(code, subsystem)) throw new AccordError('NOT_FOUND');
    return reply.code(204).send();
  });
}
