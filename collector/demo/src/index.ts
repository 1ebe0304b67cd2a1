import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ATTACKS, ordinaryTraffic, type Target } from './traffic.ts';

/** Starts the demo's services, each a process of its own with real instrumentation, sends them traffic and attacks, and stops them. */

export interface DemoSettings {
  /** `http://127.0.0.1:4317` */
  readonly otlpGrpcUrl: string;
  /** Key of the pseudonyms, the collector's own, so that both agree. */
  readonly hashKey: string;
  readonly onProgress: (message: string) => void;
}

export interface DemoResult {
  readonly services: readonly string[];
  readonly requests: number;
  readonly attacks: readonly { readonly rule: string; readonly story: string }[];
}

/** In the order in which they are started: nobody is called before it listens. */
const SERVICES = [
  { name: 'outside', serviceName: '', edge: false },
  { name: 'profile', serviceName: 'profile', edge: false },
  { name: 'accounts', serviceName: 'accounts', edge: false },
  { name: 'trading', serviceName: 'trading', edge: false },
  { name: 'edge', serviceName: 'edge-gateway', edge: true },
] as const;

const START_MS = 20_000;
const STOP_MS = 10_000;

/** @throws Error when a service does not start; all that were started are stopped. */
export async function runDemo(settings: DemoSettings): Promise<DemoResult> {
  const secret = randomBytes(24).toString('hex');
  const ports = new Map<string, number>();
  for (const { name } of SERVICES) ports.set(name, await freePort());
  const urls = Object.fromEntries(
    [...ports].map(([name, port]) => [`DEMO_${name.toUpperCase()}_URL`, `http://127.0.0.1:${port}`]),
  );
  const running: ChildProcess[] = [];
  try {
    for (const service of SERVICES) {
      running.push(
        await start(
          service,
          {
            ...urls,
            DEMO_PORT: String(ports.get(service.name)),
            DEMO_OUTSIDE_PORT: String(ports.get('outside')),
            DEMO_JWT_SECRET: secret,
          },
          settings,
        ),
      );
    }
    const named = SERVICES.filter(({ serviceName }) => serviceName !== '').map(({ serviceName }) => serviceName);
    settings.onProgress(`${named.length} instrumented services run: ${named.join(', ')}`);
    const target: Target = { edgeUrl: urls['DEMO_EDGE_URL']!, accountsUrl: urls['DEMO_ACCOUNTS_URL']!, secret };
    let requests = 0;
    await ordinaryTraffic(target, () => {
      requests++;
      if (requests % 60 === 0) settings.onProgress(`${requests} ordinary requests`);
    });
    for (const attack of ATTACKS) {
      settings.onProgress(`an attacker ${attack.story}`);
      await attack.run(target);
    }
    return { services: named, requests, attacks: ATTACKS.map(({ rule, story }) => ({ rule, story })) };
  } finally {
    await Promise.all(running.reverse().map(stop));
  }
}

async function start(
  service: (typeof SERVICES)[number],
  own: Record<string, string>,
  settings: DemoSettings,
): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'services', `${service.name}.js`);
  const instrumented = service.serviceName !== '';
  const child = spawn(
    process.execPath,
    [...(instrumented ? ['--import', '@spanwarden/instrumentation/register'] : []), script],
    {
      cwd: import.meta.dirname,
      env: { ...withoutTelemetry(process.env), ...own, ...(instrumented ? telemetry(service, settings) : {}) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    },
  );
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-2000);
  });
  const ended = once(child, 'exit').then(() =>
    Promise.reject(new Error(`demo service ${service.name} ended: ${complaint.trim()}`)),
  );
  ended.catch(() => undefined);
  const late = AbortSignal.timeout(START_MS);
  const tooLate = once(late, 'abort').then(() =>
    Promise.reject(new Error(`demo service ${service.name} did not start within ${START_MS} ms: ${complaint.trim()}`)),
  );
  tooLate.catch(() => undefined);
  await Promise.race([once(child, 'message'), ended, tooLate]);
  return child;
}

/** What an operator would set for each service. */
function telemetry(service: (typeof SERVICES)[number], settings: DemoSettings): Record<string, string> {
  return {
    OTEL_SERVICE_NAME: service.serviceName,
    OTEL_EXPORTER_OTLP_ENDPOINT: settings.otlpGrpcUrl,
    APISEC_HASH_KEY: settings.hashKey,
    APISEC_HASH_KEY_ID: 'k1',
    APISEC_TRUSTED_PROXIES: '127.0.0.1/32',
    ...(service.edge ? { APISEC_EDGE: 'true' } : {}),
  };
}

/** The caller's own OTEL_* and APISEC_* settings are for the caller's services. */
function withoutTelemetry(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !/^(OTEL|APISEC|NODE_OPTIONS)/.test(name)));
}

/** SIGTERM lets the instrumentation flush its last spans. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
