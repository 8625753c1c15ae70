// How long something kept this process busy. Unlike the clock on the wall, this does not tell what else the machine does.

/** Milliseconds of all threads of this process since it started. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
