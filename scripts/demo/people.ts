// Whom the story is about, and who can sign in at the development identity provider.
import type { Population, Resident } from './residents.ts';

/** So many others can be tried with `--stay`. */
const OTHERS = 4;

/** An adult with an income who receives support; where nobody does (a file of personas), the nearest to it. */
export function chooseResident(population: Population): { resident: Resident; receiving: boolean } {
  const supported = new Set(population.support.filter((one) => one.receiving).map((one) => one.residentId));
  const earning = new Set(population.incomes.map((one) => one.residentId));
  const wanted = (one: Resident) => Number(supported.has(one.id)) * 2 + Number(earning.has(one.id));
  const [first, ...others] = population.residents;
  if (first === undefined) throw new Error('there are no residents');
  const resident = others.reduce((best, one) => (wanted(one) > wanted(best) ? one : best), first);
  return { resident, receiving: supported.has(resident.id) };
}

/** The person of the story first. */
export function citizensOf(population: Population): Pick<Resident, 'id' | 'name'>[] {
  const { resident } = chooseResident(population);
  const others = population.residents.filter(({ id }) => id !== resident.id).slice(0, OTHERS);
  return [resident, ...others].map(({ id, name }) => ({ id, name }));
}

/** An identifier as it may be shown over somebody's shoulder. */
export function masked(id: string): string {
  return `${id.slice(0, 3)}${'*'.repeat(Math.max(0, id.length - 5))}${id.slice(-2)}`;
}
