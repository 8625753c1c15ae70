// The files of prom-client that are needed. Its front door also loads summaries, a push gateway and, for examples in the
// processor's own counters, all of OpenTelemetry: some sixty files in every process. The version is pinned, and the tests of the
// metrics run over these files.
declare module 'prom-client/lib/registry.js' {
  const Registry: typeof import('prom-client').Registry;
  export default Registry;
}
declare module 'prom-client/lib/counter.js' {
  const Counter: typeof import('prom-client').Counter;
  export default Counter;
}
declare module 'prom-client/lib/gauge.js' {
  const Gauge: typeof import('prom-client').Gauge;
  export default Gauge;
}
declare module 'prom-client/lib/histogram.js' {
  const Histogram: typeof import('prom-client').Histogram;
  export default Histogram;
}
declare module 'prom-client/lib/cluster.js' {
  const AggregatorRegistry: typeof import('prom-client').AggregatorRegistry;
  export default AggregatorRegistry;
}
declare module 'prom-client/lib/metrics/*' {
  const collect: (registry: import('prom-client').Registry, config: { eventLoopMonitoringPrecision: number }) => void;
  export default collect;
}
