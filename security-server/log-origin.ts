// The name of a server's message log: C2SP origins are schema-less URLs, and this one says whose log it is.
export function logOrigin(serverId: string): string {
  return `accord/${serverId}`;
}
