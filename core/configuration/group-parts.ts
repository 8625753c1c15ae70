// Global groups as a part of the global configuration: subsystems that providers give access rights to together. Who is
// added gets what every provider gave the group, so each member is a line of its own before two approvers. A part that says
// nothing does not exist.
//
// Approved with its hash, yet form and order are checked here: a registry that was broken into could hide a second group of
// one code where an approver reads past it.
import { canonicalJson } from '#schemas/canonical-json.ts';
import { type Group, GroupsPart } from '#schemas/groups.ts';
import { type SubsystemId, subsystemId } from '#schemas/identifiers.ts';
import type { JsonValue } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';

const read = compile(GroupsPart, 'CONFIGURATION_INVALID');

/** The file of the part. */
export function groupsFile(groups: readonly Group[]): Buffer {
  const ordered = groups
    .toSorted((a, b) => (a.code < b.code ? -1 : 1))
    .map((group) => ({ ...group, members: group.members.toSorted() }));
  return Buffer.from(`${canonicalJson({ groups: ordered } as JsonValue)}\n`);
}

/** @param value the part's JSON @throws CONFIGURATION_INVALID, CONFIGURATION_INSTANCE, IDENTIFIER_INVALID */
export function readGroupsPart(value: JsonValue, instance: string): Group[] {
  const { groups } = read(value);
  requireAscending(groups.map(({ code }) => code));
  for (const { members } of groups) {
    requireAscending(members);
    for (const member of members) {
      if (!subsystemId(member).startsWith(`${instance}/`)) throw new AccordError('CONFIGURATION_INSTANCE', member);
    }
  }
  return groups;
}

function requireAscending(names: readonly string[]): void {
  for (const [at, name] of names.entries()) {
    const before = names[at - 1];
    if (before !== undefined && before >= name) {
      throw new AccordError('CONFIGURATION_INVALID', `${name} is out of order or occurs twice`);
    }
  }
}

/** INSTANCE/CODE of each group by its members, ascending. */
export function groupsByMember(groups: readonly Group[], instance: string): Map<SubsystemId, string[]> {
  const byMember = new Map<SubsystemId, string[]>();
  for (const { code, members } of groups) {
    for (const member of members) {
      const list = byMember.get(member);
      if (list) list.push(`${instance}/${code}`);
      else byMember.set(member, [`${instance}/${code}`]);
    }
  }
  return byMember;
}
