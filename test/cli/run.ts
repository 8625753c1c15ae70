// The command line as the tests type it, in this process.
import { accordHere, type Ended } from '#scripts/accord-here.ts';

// Nobody is asked at the terminal from which the tests were started.
process.stdin.isTTY = false;

export function accord(...argv: string[]): Promise<Ended> {
  return accordHere(argv);
}
