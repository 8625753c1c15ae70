// Everything the citizen pages say, in English; words-zh.ts must have each of these texts.
const days = (count: number) => (count === 1 ? '1 day' : `${count} days`);

export const EN = {
  service: 'Consent to data access',
  skip: 'Skip to the content',
  language: 'Language',
  menu: 'Pages',
  home: 'Start page',
  waiting: 'Waiting for me',
  permissions: 'My permissions',
  accounts: 'My accounts',
  signIn: 'Sign in',
  signOut: 'Sign out',
  footer: 'Departments may learn about you only what the law or you allow. Here you decide, and can change your mind.',
  utc: (offset: string) => `All times are UTC${offset}.`,
  errorPrefix: 'Error: ',
  back: 'Back',

  homeText: 'See which departments ask for your permission, what you have allowed, and end it whenever you like.',
  homeSignIn: 'To see what concerns you, sign in first.',
  waitingCount: (count: number) =>
    count === 0
      ? 'Nothing waits for you.'
      : count === 1
        ? '1 request waits for you.'
        : `${count} requests wait for you.`,
  permissionCount: (count: number) =>
    count === 0
      ? 'No permission is in force.'
      : count === 1
        ? '1 permission is in force.'
        : `${count} permissions are in force.`,

  waitingNone: 'No department asks you for anything at the moment.',
  open: 'Read and decide',
  until: 'Answer until',
  asked: 'Asked on',

  requestTitle: (client: string, purpose: string) => `${client} asks for your permission: ${purpose}`,
  who: 'Who asks',
  why: 'What for',
  reason: 'Why now, in the words of the department',
  fromWhom: 'From whom',
  howLongKept: 'How long it is kept',
  howOften: 'How often',
  howLongValid: 'How long the permission lasts',
  refusal: 'If you refuse',
  refusalText:
    'Nothing is sent, and you can hand in the information in another way. A refusal is not held against you. The same holds for single items that you leave out.',
  changeMind: 'If you change your mind',
  changeMindText: (seconds: number) =>
    `One click under “My permissions” pauses or withdraws it. A withdrawal counts everywhere within ${seconds} seconds at the latest, usually at once.`,
  kept: (count: number) => (count === 0 ? 'Not beyond the answer itself' : `At most ${days(count)}`),
  uses: (count: number | null) =>
    count === null
      ? 'As often as needed while it lasts'
      : count === 1
        ? 'Once from each service'
        : `At most ${count} times from each service`,
  validDays: (count: number, until: string) => `${days(count)} from your decision; if you agree now, until ${until}`,
  items: 'What it would learn',
  itemsHint: 'Tick what you allow. Nothing is ticked beforehand, and each item counts by itself.',
  legend: (provider: string, title: string) => `From ${provider}: ${title}`,
  definition: 'What is this?',
  about: (label: string) => `about ${label}`,
  answerOnly: 'Only yes, no or unknown is told, never the value behind it.',
  level: { 1: 'public', 2: 'personal', 3: 'sensitive', 4: 'most sensitive' },
  levelLabel: 'Sensitivity',
  stepUpHint:
    'For the items marked “most sensitive” you will be asked to sign in again in a stronger way; what you ticked is kept.',
  bindHint:
    'If you agree, your sign-in service confirms with its signature that it was you, for exactly this. Usually you see nothing of it. Refusing needs no such confirmation.',
  noticeTitle: 'The full notice',
  noticeHint: 'This exact text is recorded with your decision.',
  agree: 'Agree to the ticked items',
  refuse: 'Refuse',
  problemTitle: 'There is a problem',
  nothingTicked: 'Tick at least one item that you agree to, or choose “Refuse”.',

  inForce: 'In force',
  paused: 'Paused',
  ended: 'Ended or refused',
  permissionsNone: 'You have not decided about anything yet.',
  permissionTitle: (client: string, purpose: string) => `Permission for ${client}: ${purpose}`,
  details: 'Details',
  detailsOf: (what: string) => `of ${what}`,
  state: 'State',
  states: {
    REQUESTED: 'waiting for your answer',
    GIVEN: 'in force',
    REFUSED: 'refused by you',
    LAPSED: 'not answered in time',
    SUSPENDED: 'paused by you',
    WITHDRAWN: 'withdrawn by you',
    REVOKED: 'given up by the department',
    EXPIRED: 'over, its time has passed',
    INVALIDATED: 'ended, because the purpose ended or was changed',
    SUPERSEDED: 'replaced by a newer permission',
  },
  decided: 'Decided on',
  validUntil: 'Valid until',
  lastUsed: 'Last used',
  lastUsedUnknown: 'Not told yet',
  usesLeft: 'Uses left',
  usesLeftUnknown: (count: number | null) =>
    count === null ? 'Not limited' : `Not told yet; at most ${count} from each service`,
  givenItems: 'What you allowed',
  notGiven: 'What you did not allow',
  withdraw: 'Withdraw',
  pause: 'Pause',
  resume: 'Resume',
  receipts: 'Receipts',
  done: {
    given: (_seconds: number, _by: string) => 'Your permission is given. You can end it here at any time.',
    refused: (_seconds: number, _by: string) => 'You have refused. Nothing is sent.',
    withdrawn: (seconds: number, by: string) =>
      `The permission is withdrawn. It no longer counts anywhere from ${by} at the latest (${seconds} seconds after your click), usually at once. What was learned before stays lawful.`,
    paused: (seconds: number, by: string) =>
      `The permission is paused. From ${by} at the latest (${seconds} seconds after your click) nothing is sent until you resume it.`,
    resumed: (_seconds: number, _by: string) => 'The permission is in force again.',
  },
  doneTitle: 'Done',
  ticksKept:
    'Nothing was recorded yet: the sign-in for your decision was not finished. Your ticks were kept; please look at them and decide.',

  receiptsTitle: (client: string, purpose: string) => `Receipts: ${client}, ${purpose}`,
  receiptsText:
    'A receipt is the signed proof of what you allowed, one for each service. The department sends it with each question, and the service that answers checks it. Keep a copy if you like: anybody can check the signature.',
  receiptsNone: 'There are no receipts: they exist while a permission is in force or paused.',
  download: 'Download',
  downloadOf: (title: string) => `the receipt for ${title}`,
  receiptNumber: 'Number',
  receiptHash: 'Fingerprint (SHA-256)',
  issued: 'Issued',
  issuer: 'Issued by',
  mayAsk: 'Who may ask',
  answers: 'Who answers',
  elements: 'Items',
  pseudonym: 'Your name at that department',
  pseudonymHint: 'made for it alone; two departments cannot compare it',
  retention: 'May be kept',
  signInLevel: 'Level of your sign-in',
  statusList: 'Where its state is published',

  nothingTitle: 'Nothing here for you',
  nothingText:
    'There is no such request or permission for the account you are signed in with. Check the address, and that you signed in as the person it was sent to.',
  code: 'Code',
  number: 'Number of this request',
};

export type Words = typeof EN;
