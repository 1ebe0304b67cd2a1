import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { startServer } from '../server.ts';
import { CommandError, ExitCode } from './exit-code.ts';
import { fetchFindings } from './findings.ts';
import { bySeverity, createProgress, findingLines, print, printJson, say } from './output.ts';
import { createLogger, untilStopped } from './serve.ts';

/** Real services, real OTLP, the real collector: what the README promises a newcomer. */

/** What an operator of the demo's bank would configure. */
export const DEMO_ESTATE = {
  // its services run on one machine and export every second, so that a short silence ends a trace
  assembleIdleMs: 3000,
  exposures: ['accounts=internal', 'profile=internal', 'trading=internal'],
  approvedEgress: ['statements.print-partner.example'],
} as const;
const SETTLE_MS = 60_000;
const POLL_MS = 200;

export interface DemoOptions {
  readonly json: boolean;
  /** Keep the collector running after printing. */
  readonly stay: boolean;
}

/** The demo's data folder is its own and goes with it, unless one was named. */
export function demoDataDir(named: string | undefined): { readonly path: string; readonly dispose: () => void } {
  if (named !== undefined) return { path: named, dispose: () => undefined };
  const path = mkdtempSync(join(tmpdir(), 'spanwarden-demo-'));
  return { path, dispose: () => rmSync(path, { recursive: true, force: true }) };
}

export async function demo(config: Config, options: DemoOptions): Promise<number> {
  const { runDemo } = await importDemo();
  const server = await startServer(config, createLogger(config));
  const api = { url: `http://127.0.0.1:${server.apiPort}`, token: server.token.value };
  const progress = createProgress();
  try {
    if (!options.json)
      say(`collector  OTLP/gRPC 127.0.0.1:${server.grpcPort}, OTLP/HTTP 127.0.0.1:${server.httpPort}, REST ${api.url}`);
    const result = await runDemo({
      otlpGrpcUrl: `http://127.0.0.1:${server.grpcPort}`,
      hashKey: server.hashKey,
      onProgress(message: string) {
        if (options.json) progress.update(message);
        else say(`  ${message}`);
      },
    });
    progress.update('waiting for the last traces to close');
    await untilSettled(api.url);
    progress.done();
    const findings = (await fetchFindings(api, {})).sort(bySeverity);
    if (options.json) printJson(findings);
    else {
      print(
        `\n${result.requests} ordinary requests and ${result.attacks.length} attacks, each made of valid requests only, gave ${findings.length} findings:\n`,
      );
      print(findings.map(findingLines).join('\n\n'));
    }
    if (options.stay) {
      if (!options.json) lookFurther(config, api, findings[0]?.id ?? 'F-…');
      await untilStopped();
    }
    return findings.length > 0 ? ExitCode.findings : ExitCode.clean;
  } finally {
    progress.done();
    await server.stop();
  }
}

function lookFurther(config: Config, api: { readonly url: string; readonly token: string }, id: string): void {
  const where = `SPANWARDEN_CONSOLE_TOKEN=${api.token} node collector/dist/main.js`;
  const port = config.httpPort === 4319 ? '' : ` --http-port ${config.httpPort}`;
  print(`
look further while this runs (Ctrl-C ends it):
  ${where} findings show ${id}${port}
  curl -H "Authorization: Bearer ${api.token}" "${api.url}/api/v1/call-graph"
  curl -H "Authorization: Bearer ${api.token}" "${api.url}/api/v1/operations"
your own services: export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${config.otlpGrpcPort}`);
}

/** Open traces have closed and their conclusions are stored: what is asked now will not change any more. */
async function untilSettled(url: string): Promise<void> {
  const deadline = performance.now() + SETTLE_MS;
  let quiet = 0;
  while (quiet < 10) {
    if (performance.now() > deadline)
      throw new CommandError(ExitCode.server, 'the collector did not finish the demo traffic in time');
    const text = await (await fetch(`${url}/metrics`)).text();
    const open = /^spanwarden_open_traces(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1];
    quiet = open === '0' ? quiet + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The demo is a package of its own, so that a production install does not carry its services. */
async function importDemo(): Promise<typeof import('@spanwarden/demo')> {
  try {
    return await import('@spanwarden/demo');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new CommandError(
      ExitCode.usage,
      'the demo services are not installed: run `npm run demo` in a clone of the repository',
    );
  }
}
