// Admin API: global groups, which providers give access rights to as a whole. A new member gets what every provider gave the
// group, so two approvers see each member as a line of its own before it counts; a group is removed only when it is empty.

import { GroupFacts, GroupsPart, MAX_GROUP_MEMBERS } from '#schemas/groups.ts';
import { SEGMENT_PATTERN, SUBSYSTEM_ID_PATTERN, subsystemId } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import type { AdminFrame, RegistryContext } from './admin-frame.ts';

const closed = { additionalProperties: false };
const segment = Type.String({ pattern: `^${SEGMENT_PATTERN}$` });
const GroupPath = Type.Object({ code: segment }, closed);
const MemberPath = Type.Object(
  { code: segment, instance: segment, class: segment, member: segment, subsystem: segment },
  closed,
);
const NewMember = Type.Object({ subsystem: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }) }, closed);

export function addGroupRoutes(frame: AdminFrame, { store, instance }: RegistryContext): void {
  const { groups } = store;
  const find = (params: unknown) => {
    const { code } = params as { code: string };
    const group = groups.find(code);
    if (group === undefined) throw new AccordError('REGISTRATION_UNKNOWN', `global-group:${instance}/${code}`);
    return group;
  };
  frame.read({
    method: 'GET',
    url: '/groups',
    summary: 'Global groups with their members, ascending by code',
    permission: 'read',
    read: () => ({ items: groups.all() }),
  });
  frame.change({
    method: 'POST',
    url: '/groups',
    summary: 'Make a global group, or change its title',
    permission: 'register',
    body: GroupFacts,
    change({ body }) {
      groups.put(body);
      const most = GroupsPart.properties.groups.maxItems ?? 0;
      if (groups.all().length > most) throw new AccordError('REGISTRATION_LIMIT', `${most} groups`);
      return { status: 201, body: groups.find(body.code), target: `global group ${body.code}` };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/groups/:code',
    summary: 'Remove a global group without members',
    permission: 'register',
    params: GroupPath,
    change({ params }) {
      const { code, members } = find(params);
      if (members[0] !== undefined) throw new AccordError('REGISTRATION_IN_USE', members[0]);
      groups.remove(code);
      return { status: 200, body: { removed: code }, target: `global group ${code}` };
    },
  });
  frame.change({
    method: 'POST',
    url: '/groups/:code/members',
    summary: 'Add a subsystem to a global group',
    permission: 'register',
    params: GroupPath,
    body: NewMember,
    change({ params, body }) {
      const { code, members } = find(params);
      const id = subsystemId(body.subsystem);
      if (!store.hasSubsystem(id)) throw new AccordError('REGISTRATION_UNKNOWN', id);
      if (members.includes(id)) throw new AccordError('REGISTRATION_EXISTS', id);
      if (members.length >= MAX_GROUP_MEMBERS) throw new AccordError('REGISTRATION_LIMIT', `${MAX_GROUP_MEMBERS}`);
      groups.add(code, id);
      return { status: 201, body: groups.find(code), target: `global group ${code} ${id}` };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/groups/:code/members/:instance/:class/:member/:subsystem',
    summary: 'Take a subsystem out of a global group',
    permission: 'register',
    params: MemberPath,
    change({ params }) {
      const { code } = find(params);
      const { instance: first, class: memberClass, member, subsystem } = params as Record<string, string>;
      const id = subsystemId([first, memberClass, member, subsystem].join('/'));
      if (!groups.take(code, id)) throw new AccordError('REGISTRATION_UNKNOWN', `${id} in ${code}`);
      return { status: 200, body: { removed: id }, target: `global group ${code} ${id}` };
    },
  });
}
