import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CollectorProcess, type CollectorSettings } from '../support/collector-process.ts';
import { emitted } from '../support/repo-root.ts';
import { Traffic } from '../support/traffic.ts';
import { decodeUsPerSpan } from './decode-ceiling.ts';
import { ackLatency, openTraceMemory, saturate, type Throughput } from './load.ts';
import { folderBytes } from './process-usage.ts';
import { type Figure, passes, toTable, toText } from './report.ts';
import { durableAppend, fdatasyncTimes, memcpyGigabytesPerSecond, type SyncTimes } from './yardsticks.ts';

/**
 * `npm run bench`: the whole collector from OTLP/gRPC to findings, as its senders see it, beside what the machine can
 * do and what a naive server does in the same minutes. Options: --seconds N, --only a,b, --json, --seed N.
 */

const PARTS = ['yardsticks', 'naive', 'sustained', 'latency', 'memory'] as const;
type Part = (typeof PARTS)[number];
const IDLE_MS = 2_000;
/** By then the code is compiled, and traces close as fast as they open. */
const WARM_UP_SECONDS = 5;
const LATENCY_SPANS_PER_SECOND = 50_000;
const MB = 1e6;

/** What else runs here costs wall time: figures by the clock count only on a machine of their own. */
const machine = `node ${process.version}, ${availableParallelism()} cores, load average ${loadavg()[0]!.toFixed(1)} before the run`;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: PARTS.join(',') },
    json: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    /** Measures this program instead of the collector: tries the bench itself. */
    program: { type: 'string' },
  },
});
const seconds = Number(options.seconds);
const wanted = new Set(options.only.split(',') as Part[]);
for (const part of wanted) if (!PARTS.includes(part)) throw new Error(`--only knows ${PARTS.join(', ')}, not ${part}`);
const scratch = mkdtempSync(join(tmpdir(), 'spanwarden-bench-'));
const figures: Figure[] = [];
const notes: string[] = [];
const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`${text}\n`);
};
const newTraffic = (): Traffic =>
  new Traffic({ seed: Number(options.seed), tracesPerFlight: 512, requestSpansMax: 512 });

/** Runs `work` against a fresh server process with a fresh data folder; `leftBytes` is what it leaves there after a clean stop. */
async function withServer<T>(
  settings: Omit<CollectorSettings, 'dataDir'>,
  work: (server: CollectorProcess) => Promise<T>,
): Promise<{ readonly result: T; readonly leftBytes: number }> {
  const dataDir = mkdtempSync(join(scratch, 'data-'));
  const program = settings.program ?? (options.program === undefined ? undefined : [options.program]);
  const server = await CollectorProcess.start({ ...settings, ...(program === undefined ? {} : { program }), dataDir });
  try {
    const result = await work(server);
    await server.stop();
    return { result, leftBytes: folderBytes(dataDir) };
  } catch (error) {
    throw new Error(`the server printed:\n${server.output.slice(-4_000)}`, { cause: error });
  } finally {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Yardsticks {
  readonly decodeUsPerSpan: number;
  readonly append: { readonly spansPerSecond: number; readonly megabytesPerSecond: number };
  readonly floor: SyncTimes;
}

async function measureYardsticks(): Promise<Yardsticks> {
  progress('yardsticks: memcpy, decoder alone, fdatasync, durable append');
  const memcpyGigabytes = memcpyGigabytesPerSecond();
  const decode = decodeUsPerSpan(newTraffic(), 2);
  const small = await fdatasyncTimes(scratch, 4_096, 200, 2);
  const floor = await fdatasyncTimes(scratch, 64 << 10, 100, 4);
  const append = durableAppend(scratch, 450, 72, 2);
  const times = (sync: SyncTimes): string =>
    `${toText(sync.p50Ms)} / ${toText(sync.p99Ms)} / ${toText(sync.p999Ms)} ms`;
  notes.push(
    `memcpy ${toText(memcpyGigabytes)} GB/s; decoder alone ${toText(decode)} us/span = ${toText(1e6 / decode)} spans/s a core`,
    `fdatasync p50 / p99 / p99.9: 4 KiB at 200/s ${times(small)}; 64 KiB at 100/s ${times(floor)}`,
    `raw durable append (SQLite WAL FULL, 72 B a span, 4 x 450 spans a commit): ${toText(append.spansPerSecond)} spans/s, ${toText(append.megabytesPerSecond)} MB/s`,
  );
  return { decodeUsPerSpan: decode, append, floor };
}

interface Run extends Throughput {
  readonly bytesPerSpan: number;
}

async function runSaturated(
  settings: Omit<CollectorSettings, 'dataDir'>,
  windowSeconds: number,
  note?: (server: CollectorProcess, run: Throughput) => Promise<void>,
): Promise<Run> {
  const env = { ...settings.env, SPANWARDEN_ASSEMBLE_IDLE_MS: String(IDLE_MS) };
  const { result, leftBytes } = await withServer({ ...settings, env }, async (server) => {
    const run = await saturate(server, newTraffic(), {
      seconds: windowSeconds,
      warmUpSeconds: WARM_UP_SECONDS,
      idleMs: IDLE_MS,
    });
    await note?.(server, run);
    return run;
  });
  return { ...result, bytesPerSpan: leftBytes / result.storedSpans };
}

async function measureNaive(): Promise<Run> {
  progress('naive server: as fast as it answers');
  return runSaturated({ program: [emitted('bench/naive-server.js')] }, Math.min(seconds, 6));
}

async function measureSustained(yardsticks: Yardsticks | undefined, naive: Run | undefined): Promise<void> {
  progress('collector: as fast as it answers');
  const gcFile = join(scratch, 'gc');
  const settings = { nodeArgs: ['--import', emitted('support/gc-watch.js')], env: { GC_WATCH_FILE: gcFile } };
  const result = await runSaturated(settings, seconds, noteStages);
  const naivePerCore = naive === undefined ? undefined : 1e6 / naive.cpuUsPerSpan;
  const beside = (value: number | undefined): { naive?: number } => (value === undefined ? {} : { naive: value });
  const under = (name: string, value: number | undefined): { ceiling?: { name: string; value: number } } =>
    value === undefined ? {} : { ceiling: { name, value } };
  figures.push(
    {
      measure: 'sustained, 2 cores incl. generator',
      value: result.sustainedPerSecond,
      unit: 'spans/s',
      ...under('raw durable append', yardsticks?.append.spansPerSecond),
      ...beside(naive?.sustainedPerSecond),
      gate: { bound: 150_000, atLeast: true },
    },
    {
      measure: 'spans per CPU second, rules on, durable',
      value: 1e6 / result.cpuUsPerSpan,
      unit: 'spans/s',
      ...under('decoder alone', yardsticks === undefined ? undefined : 1e6 / yardsticks.decodeUsPerSpan),
      ...beside(naivePerCore),
      gate: { bound: Math.max(100_000, 5 * (naivePerCore ?? 0)), atLeast: true },
    },
    {
      measure: 'CPU',
      value: result.cpuUsPerSpan,
      unit: 'us/span',
      ...under('decoder alone', yardsticks?.decodeUsPerSpan),
      ...beside(naive?.cpuUsPerSpan),
    },
    {
      measure: 'on disk after a clean stop, without the fixed reserve',
      value: result.bytesPerSpan,
      unit: 'B/span',
      ...beside(naive?.bytesPerSpan),
      gate: { bound: 80, atLeast: false },
    },
    {
      measure: 'longest GC pause, receiving thread',
      value: longestPauseMs(gcFile, result.fromMs, result.toMs),
      unit: 'ms',
      gate: { bound: 20, atLeast: false },
    },
  );
}

async function noteStages(server: CollectorProcess, run: Throughput): Promise<void> {
  const stages = [...(await server.metrics()).by('spanwarden_stage_seconds_total', 'stage')];
  const total = stages.reduce((sum, [, used]) => sum + used, 0);
  notes.push(
    `sustained run: ${run.spans} spans in the window, acknowledged ${toText(run.ackedPerSecond)}/s, all judged ${toText(run.lagSeconds)} s late, ` +
      `${run.retries} retried exports, generator ${toText(run.generatorCpuUsPerSpan)} us/span`,
  );
  for (const [stage, used] of stages.sort((one, other) => other[1] - one[1])) {
    notes.push(
      `stage ${stage}: ${((100 * used) / total).toFixed(1)} % of the time in stages, ${toText((used * 1e6) / run.storedSpans)} us/span by the clock`,
    );
  }
}

function longestPauseMs(file: string, fromMs: number, toMs: number): number {
  if (!existsSync(file)) return Number.NaN;
  const pauses = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split(' ').map(Number) as [number, number])
    .filter(([atMs]) => atMs >= fromMs && atMs <= toMs);
  return Math.max(0, ...pauses.map(([, pauseMs]) => pauseMs));
}

async function measureLatency(before: SyncTimes | undefined): Promise<void> {
  progress(`collector: acknowledgements at ${LATENCY_SPANS_PER_SECOND} spans/s`);
  const env = { SPANWARDEN_ASSEMBLE_IDLE_MS: String(IDLE_MS) };
  const { result: latency } = await withServer({ env }, (server) =>
    ackLatency(server, newTraffic(), { spansPerSecond: LATENCY_SPANS_PER_SECOND, seconds, warmUpSeconds: 3 }),
  );
  const after = await fdatasyncTimes(scratch, 64 << 10, 100, 4);
  const floorMs = Math.max(before?.p99Ms ?? 0, after.p99Ms);
  const floor50Ms = Math.max(before?.p50Ms ?? 0, after.p50Ms);
  figures.push(
    {
      measure: 'ack p50 at 50k spans/s',
      value: latency.p50Ms,
      unit: 'ms',
      ceiling: { name: 'fdatasync p50', value: floor50Ms },
    },
    {
      measure: 'ack p99 at 50k spans/s',
      value: latency.p99Ms,
      unit: 'ms',
      ceiling: { name: 'fdatasync p99', value: floorMs },
      gate: { bound: floorMs + 15, atLeast: false },
    },
  );
  notes.push(
    `latency run: ${toText(latency.spansPerSecond)} spans/s in ${latency.exports} exports, p99.9 ${toText(latency.p999Ms)} ms, ${latency.failed} failed; fdatasync p99 after it ${toText(after.p99Ms)} ms`,
  );
}

async function measureMemory(): Promise<void> {
  progress('collector: memory with open traces');
  const env = { SPANWARDEN_ASSEMBLE_IDLE_MS: '300000', SPANWARDEN_ASSEMBLE_CAP_MS: '600000' };
  const { result } = await withServer({ env }, (server) =>
    openTraceMemory(server, newTraffic(), { openTraces: 100_000, spans: 1_000_000 }),
  );
  const { atOpenTraces, atSpans } = result;
  figures.push(
    {
      measure: `RSS, ${toText(atOpenTraces.openTraces)} open traces`,
      value: atOpenTraces.residentBytes / MB,
      unit: 'MB',
    },
    {
      measure: `RSS, 1 M live spans (${toText(atSpans.openTraces)} open traces)`,
      value: atSpans.residentBytes / MB,
      unit: 'MB',
      gate: { bound: 900, atLeast: false },
    },
  );
  notes.push(`memory run: peak ${toText(atSpans.peakBytes / MB)} MB`);
}

try {
  const yardsticks = wanted.has('yardsticks') ? await measureYardsticks() : undefined;
  const naive = wanted.has('naive') ? await measureNaive() : undefined;
  if (wanted.has('sustained')) await measureSustained(yardsticks, naive);
  if (wanted.has('latency')) await measureLatency(yardsticks?.floor);
  if (wanted.has('memory')) await measureMemory();

  if (options.json) {
    const rows = figures.map((figure) => ({ ...figure, passes: passes(figure) ?? null }));
    console.log(JSON.stringify({ machine, seconds, figures: rows, notes }, null, 2));
  } else {
    console.log(
      `${machine}\n${figures.length === 0 ? '' : `${toTable(figures)}\n`}${notes.map((note) => `  ${note}`).join('\n')}`,
    );
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
