// Synthetic residents for the demonstration: the same seed gives the same people, always. Names, numbers and addresses
// are made up; identity numbers have the form and the check digit of GB 11643-1999, so that a coincidence with a real
// number cannot be excluded, only its holder's name and data never are.

import { randomFrom, type Source } from './random.ts';

export interface Household {
  id: string;
  address: string;
  /** Resident id of the head of the household. */
  headId: string;
}

export type Relation = 'head' | 'spouse' | 'child' | 'parent' | 'other';

export interface Resident {
  /** 18 characters, GB 11643; other forms for people from a file. */
  id: string;
  name: string;
  sex: 'female' | 'male' | 'unknown';
  /** YYYY-MM-DD */
  birthDate: string;
  householdId: string;
  relation: Relation;
}

export interface LowIncomeSupport {
  residentId: string;
  receiving: boolean;
  /** YYYY-MM-DD, null when none is received. */
  since: string | null;
  /** In whole units of the currency, per person and month. */
  monthlyAmount: number | null;
}

export interface AnnualIncome {
  residentId: string;
  year: number;
  /** Whole units of the currency, before tax. */
  grossIncome: number;
  taxPaid: number;
  currency: string;
}

export interface HousingRegistration {
  registrationNumber: string;
  residentId: string;
  address: string;
  tenure: 'owned' | 'rented' | 'public-rental';
  areaM2: number;
  since: string;
}

export interface Enrolment {
  residentId: string;
  insuranceNumber: string;
  scheme: 'employee' | 'resident';
  status: 'active' | 'suspended';
  since: string;
}

export interface Population {
  households: Household[];
  residents: Resident[];
  support: LowIncomeSupport[];
  incomes: AnnualIncome[];
  registrations: HousingRegistration[];
  enrolments: Enrolment[];
}

/** The day on which everybody has the age they are made with. */
const AS_OF_YEAR = 2026;
const INCOME_YEARS = [2023, 2024, 2025];
/** Yuan per head and month; below it a household receives the difference. */
export const SUPPORT_THRESHOLD = 1_200;

const DIVISIONS: [string, string][] = [
  ['110105', '北京市朝阳区'],
  ['310115', '上海市浦东新区'],
  ['320106', '江苏省南京市鼓楼区'],
  ['330106', '浙江省杭州市西湖区'],
  ['370202', '山东省青岛市市南区'],
  ['420106', '湖北省武汉市武昌区'],
  ['440106', '广东省广州市天河区'],
  ['440305', '广东省深圳市南山区'],
  ['510104', '四川省成都市锦江区'],
  ['610113', '陕西省西安市雁塔区'],
];
const STREETS = '人民路 解放路 建设路 中山路 和平路 新华路 长江路 文化路 胜利路 光明路 学府路 滨河路'.split(' ');
/** Most common first; the place in the list is the weight. */
const SURNAMES = [
  ...'王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤',
].concat(['欧阳', '司马', '上官', '诸葛']);
const GIVEN_FEMALE = [...'芳娜敏静丽艳娟霞秀英梅玲桂兰玉萍红燕雪琳婷雅欣怡梓涵诗悦妍佳颖'];
const GIVEN_MALE = [...'伟强磊军洋勇杰涛明超刚平辉鹏华飞鑫波斌宇浩然子轩博文俊豪志建国'];

/** @param count how many residents, at least 1 */
export function generatePopulation(seed: number, count = 10_000): Population {
  const source = randomFrom(seed);
  const population: Population = {
    households: [],
    residents: [],
    support: [],
    incomes: [],
    registrations: [],
    enrolments: [],
  };
  const used = new Map<string, number>();
  while (population.residents.length < count) {
    addHousehold(source, population, used, count - population.residents.length);
  }
  return population;
}

interface Member {
  relation: Relation;
  age: number;
  sex: 'female' | 'male';
}

function addHousehold(source: Source, population: Population, used: Map<string, number>, room: number): void {
  const number = population.households.length + 1;
  const [division, area] = source.pick(DIVISIONS);
  const address = `${area}${source.pick(STREETS)}${source.integer(1, 300)}号${source.integer(1, 30)}单元${source.integer(1, 18)}0${source.integer(1, 4)}室`;
  const householdId = `${division}-${String(number).padStart(6, '0')}`;
  const headSurname = surname(source);
  const members = membersOf(source).slice(0, room);
  const residents = members.map((member) => {
    const inherits = member.relation === 'head' || member.relation === 'child';
    return residentOf(source, used, division, householdId, member, inherits ? headSurname : surname(source));
  });
  const incomes = residents.flatMap(({ id }, at) => incomesOf(source, id, members[at]?.age ?? 0));
  population.households.push({ id: householdId, address, headId: residents[0]?.id ?? '' });
  population.residents.push(...residents);
  population.incomes.push(...incomes);
  population.support.push(...supportOf(source, residents, incomes));
  population.registrations.push(...registrationOf(source, residents[0], address, number));
  population.enrolments.push(
    ...residents.map(({ id }, at): Enrolment => {
      const age = members[at]?.age ?? 0;
      return {
        residentId: id,
        insuranceNumber: `YB${division}${String(population.enrolments.length + at + 1).padStart(8, '0')}`,
        scheme: age >= 18 && source.chance(0.55) ? 'employee' : 'resident',
        status: source.chance(0.96) ? 'active' : 'suspended',
        since: dateIn(source, Math.max(2008, AS_OF_YEAR - age)),
      };
    }),
  );
}

/** One to six people: a head, perhaps a spouse, children and a parent. */
function membersOf(source: Source): Member[] {
  const head: Member = { relation: 'head', age: source.integer(24, 84), sex: source.chance(0.5) ? 'male' : 'female' };
  const members = [head];
  if (source.chance(head.age > 70 ? 0.45 : 0.7)) {
    const age = Math.max(22, head.age + source.integer(-5, 5));
    members.push({ relation: 'spouse', age, sex: head.sex === 'male' ? 'female' : 'male' });
  }
  const youngest = Math.max(0, head.age - 42);
  const children = head.age > 25 ? source.weighted([0.35, 0.4, 0.21, 0.04]) : 0;
  for (let child = 0; child < children && youngest <= 24; child += 1) {
    const age = source.integer(youngest, Math.min(24, head.age - 22));
    members.push({ relation: 'child', age: Math.max(0, age), sex: source.chance(0.52) ? 'male' : 'female' });
  }
  if (head.age < 64 && members.length < 6 && source.chance(0.15)) {
    members.push({
      relation: 'parent',
      age: head.age + source.integer(22, 32),
      sex: source.chance(0.4) ? 'male' : 'female',
    });
  }
  return members.slice(0, 6);
}

function surname(source: Source): string {
  return source.front(SURNAMES);
}

function residentOf(
  source: Source,
  used: Map<string, number>,
  division: string,
  householdId: string,
  { relation, age, sex }: Member,
  family: string,
): Resident {
  const birthDate = dateIn(source, AS_OF_YEAR - 1 - age);
  const given = sex === 'female' ? GIVEN_FEMALE : GIVEN_MALE;
  const name = family + source.pick(given) + (source.chance(0.72) ? source.pick(given) : '');
  return { id: identityNumber(used, division, birthDate, sex), name, sex, birthDate, householdId, relation };
}

/** The next free sequence of this place, day and sex: odd for men, even for women. */
function identityNumber(
  used: Map<string, number>,
  division: string,
  birthDate: string,
  sex: 'female' | 'male',
): string {
  const stem = division + birthDate.replaceAll('-', '');
  const next = (used.get(stem + sex) ?? (sex === 'male' ? -1 : 0)) + 2;
  used.set(stem + sex, next);
  const body = stem + String(next).padStart(3, '0');
  return body + identityCheckDigit(body);
}

/** GB 11643-1999 / ISO 7064 MOD 11-2 over the first 17 digits: '0' to '9' or 'X'. */
export function identityCheckDigit(first17: string): string {
  let sum = 0;
  for (const [at, digit] of [...first17].entries()) {
    sum += Number(digit) * (2 ** (17 - at) % 11);
  }
  return '10X98765432'.charAt(sum % 11);
}

function dateIn(source: Source, year: number): string {
  return `${year}-${String(source.integer(1, 12)).padStart(2, '0')}-${String(source.integer(1, 28)).padStart(2, '0')}`;
}

/** Log-normal earnings, pensions of two kinds, nothing for children, students and one adult in twelve. */
function incomesOf(source: Source, residentId: string, age: number): AnnualIncome[] {
  const retired = age >= 62;
  if (age < 22 || (!retired && source.chance(0.08))) {
    return [];
  }
  const median = retired ? (source.chance(0.3) ? 2_600 : 38_000) : 62_000;
  const level = median * Math.exp((retired ? 0.35 : 0.6) * source.normal());
  return INCOME_YEARS.map((year, at) => {
    const grossIncome = Math.round(level * (1 + 0.04 * at));
    return {
      residentId,
      year,
      grossIncome,
      taxPaid: Math.max(0, Math.round((grossIncome - 60_000) * 0.07)),
      currency: 'CNY',
    };
  });
}

function supportOf(
  source: Source,
  residents: readonly Resident[],
  incomes: readonly AnnualIncome[],
): LowIncomeSupport[] {
  const lastYear = INCOME_YEARS.at(-1);
  const total = incomes.reduce((sum, one) => sum + (one.year === lastYear ? one.grossIncome : 0), 0);
  const lacking = SUPPORT_THRESHOLD - Math.floor(total / 12 / residents.length);
  const receiving = lacking > 0;
  const since = receiving ? dateIn(source, source.integer(2022, 2025)) : null;
  return residents.map(({ id }) => ({ residentId: id, receiving, since, monthlyAmount: receiving ? lacking : null }));
}

function registrationOf(
  source: Source,
  head: Resident | undefined,
  address: string,
  number: number,
): HousingRegistration[] {
  if (!head || source.chance(0.12)) {
    return [];
  }
  return [
    {
      registrationNumber: `FC${String(number).padStart(8, '0')}`,
      residentId: head.id,
      address,
      tenure: (['owned', 'rented', 'public-rental'] as const)[source.weighted([0.72, 0.2, 0.08])] ?? 'owned',
      areaM2: source.integer(280, 1_600) / 10,
      since: dateIn(source, source.integer(1998, 2025)),
    },
  ];
}
