/** The OTLP signals a sender may export, with the address each has on the two transports. */
export interface Signal {
  readonly name: 'traces' | 'metrics' | 'logs' | 'profiles';
  readonly grpcService: string;
  readonly httpPath: string;
}

export const TRACES: Signal = {
  name: 'traces',
  grpcService: 'opentelemetry.proto.collector.trace.v1.TraceService',
  httpPath: '/v1/traces',
};

/** Accepted and dropped, so that an SDK which exports everything to one endpoint does not retry or fail. */
export const IGNORED_SIGNALS: readonly Signal[] = [
  {
    name: 'metrics',
    grpcService: 'opentelemetry.proto.collector.metrics.v1.MetricsService',
    httpPath: '/v1/metrics',
  },
  { name: 'logs', grpcService: 'opentelemetry.proto.collector.logs.v1.LogsService', httpPath: '/v1/logs' },
  {
    name: 'profiles',
    grpcService: 'opentelemetry.proto.collector.profiles.v1development.ProfilesService',
    httpPath: '/v1development/profiles',
  },
];

/** The warning in the answer to an ignored signal. */
export function ignoredWarning(signal: Signal): string {
  return `${signal.name} are accepted and dropped: Spanwarden reads traces only`;
}
