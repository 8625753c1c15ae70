// What a run found, for people as tables and for machines as one object.
import type { Measured, ScenarioResult } from './measure.ts';
import type { BenchResult, Sides } from './run.ts';

const rounded = (value: number, digits = 3) => Math.round(value * 10 ** digits) / 10 ** digits;
const orNull = (value: number | undefined, digits = 3) => (value === undefined ? null : rounded(value, digits));

/** The members that others read; null for what was not measured, or has nothing to be compared with. */
export function summaryOf(result: BenchResult) {
  const of = (name: string) => result.scenarios.find(({ scenario }) => scenario.name === name);
  const toNginx = (name: string, variant: 'safe' | 'write' = 'safe') => orNull(of(name)?.ratios.toNginx[variant]);
  const at64 = of('at64')?.results.safe;
  const at1 = of('at1');
  const [p50, plainP50] = [at1?.results.safe?.p50Millis, at1?.results.plain?.p50Millis];
  const most = (sides: Sides<number> | null | undefined) =>
    sides === undefined || sides === null ? null : rounded(Math.max(sides.consumer, sides.provider), 1);
  const { bytes } = result;
  const larger = (name: 'logBytes' | 'recordBytes' | 'fileBytes' | 'signatures', digits = 0) =>
    bytes === null ? null : rounded(Math.max(bytes.consumer[name], bytes.provider[name]), digits);
  return {
    ratioToNginxAt1: toNginx('at1'),
    ratioToNginxAt16: toNginx('at16'),
    ratioToNginxAt64: toNginx('at64'),
    ratioToNginxAt256: toNginx('at256'),
    ratioStrictAt64: toNginx('at64', 'write'),
    ratioToPlainAt64: orNull(of('at64')?.ratios.toPlain.safe),
    cpuToPlainAt64: orNull(of('at64')?.cpuToPlain ?? undefined),
    ratioToNginx100KiB: toNginx('100k'),
    ratioToNginx10MiB: toNginx('10m'),
    ratioToNginxMix: toNginx('mix'),
    cpuMicrosPerExchangeAt64:
      at64 === undefined
        ? null
        : { consumer: rounded(at64.cpuMicros.consumer, 0), provider: rounded(at64.cpuMicros.provider, 0) },
    p50MillisAt1: orNull(p50),
    p50ToPlainAt1: p50 === undefined || plainP50 === undefined ? null : rounded(p50 / plainP50, 2),
    rssMiB: {
      idle: most(result.idleRssMiB),
      at64: most(at64?.rssMiB),
      large: most(of('16x10m')?.results.safe?.rssMiB),
    },
    logBytesPerExchange: larger('logBytes'),
    recordBytesPerExchange: larger('recordBytes'),
    databaseBytesPerExchange: larger('fileBytes'),
    signaturesPerExchange: larger('signatures', 2),
    exchangesPerSecond: Object.fromEntries(
      result.scenarios.map(({ scenario, results }) => [
        scenario.name,
        Object.fromEntries(Object.entries(results).map(([name, { aSecond }]) => [name, rounded(aSecond, 1)])),
      ]),
    ),
    exchanges: result.exchanges,
    failures: result.failures,
  };
}

/** One table a scenario. */
export function tableOf({ scenario, results, ratios }: ScenarioResult): string[] {
  const columns = [
    '',
    'a second',
    'p50 ms',
    'p99 ms',
    'CPU µs consumer',
    'provider',
    'backend',
    'load',
    'RSS MiB',
    'to nginx',
    'to plain',
  ];
  const rows = Object.entries(results).map(([name, measured]) => [
    name,
    ...cells(measured),
    ...[ratios.toNginx, ratios.toPlain].map((to) => to[name as keyof typeof to]?.toFixed(3) ?? '–'),
  ]);
  const widths = columns.map((column, at) => Math.max(column.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const laid = [columns, ...rows].map((row) => row.map((cell, at) => cell.padStart(widths[at] ?? 0)).join('  '));
  return [`${scenario.name}: ${scenario.title}`, ...laid, ''];
}

function cells({ aSecond, p50Millis, p99Millis, cpuMicros, rssMiB }: Measured): string[] {
  const { consumer, provider, backend, load } = cpuMicros;
  return [
    aSecond.toFixed(aSecond < 100 ? 1 : 0),
    p50Millis.toFixed(2),
    p99Millis.toFixed(2),
    ...[consumer, provider, backend, load].map((micros) => micros.toFixed(0)),
    `${rssMiB.consumer.toFixed(0)}/${rssMiB.provider.toFixed(0)}`,
  ];
}
