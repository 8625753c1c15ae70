// Groups of subsystems that an access right can be given to (X-Road's local and global groups). A local group is one
// provider's own and stands in its server's state; a global group is the instance's and stands in the global
// configuration, approved by two persons.
import { SEGMENT_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { type Static, Type } from './schema-builder.ts';

const closed = { additionalProperties: false };

/** The largest group. */
export const MAX_GROUP_MEMBERS = 10_000;

export const GroupFacts = Type.Object(
  { code: Type.String({ pattern: `^${SEGMENT_PATTERN}$` }), title: Type.String({ minLength: 1, maxLength: 200 }) },
  closed,
);

export const Group = Type.Object(
  {
    ...GroupFacts.properties,
    /** Ascending. */
    members: Type.Array(Type.String({ pattern: SUBSYSTEM_ID_PATTERN }), {
      maxItems: MAX_GROUP_MEMBERS,
      uniqueItems: true,
    }),
  },
  closed,
);

/** The part `groups` of the global configuration: ascending by code. */
export const GroupsPart = Type.Object({ groups: Type.Array(Group, { maxItems: 1_000 }) }, closed);

export type GroupFacts = Static<typeof GroupFacts>;
export type Group = Static<typeof Group>;
