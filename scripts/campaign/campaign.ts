// What a campaign is: the long form of a test. The suite runs a short form of each, and once with a broken part put in,
// so that a campaign that finds nothing is known to be able to find something.
export interface CampaignResult {
  /** Cases that were really run. */
  size: number;
  failures: number;
  /** What was found, for people; the first few suffice. */
  found: string[];
  /** Further numbers for the last line of output. */
  [more: string]: unknown;
}

export interface CampaignRun<Broken> {
  /** Cases to run; a campaign may round it. */
  size: number;
  /** The same seed makes the same choices; keys, salts and times are fresh in every run. */
  seed: number;
  /** A part that is worse than the real one, put in its place. */
  broken?: Broken | undefined;
  /** The same for a campaign with processes of its own: put in afterwards, into what stands; what is then found is told apart. */
  thenBroken?: Broken | undefined;
  /** Progress, for people. */
  say?: (line: string) => void;
}

export interface Campaign<Broken = never> {
  name: string;
  title: string;
  /** Cases when nothing else is asked for. */
  defaultSize: number;
  run(options: CampaignRun<Broken>): Promise<CampaignResult>;
}
