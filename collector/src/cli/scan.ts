import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Counters } from '../base/counters.ts';
import { RejectedError } from '../base/errors.ts';
import { createPseudonym } from '../base/pseudonym.ts';
import { loadRules } from '../catalog.ts';
import { type Config, toEstate } from '../config.ts';
import { openHashKey } from '../hash-key.ts';
import { createPipeline } from '../pipeline.ts';
import type { FindingDetail, OperationView, Severity } from '../serve/contract.ts';
import type { FindingPlace } from '../store/finding-queries.ts';
import type { OperationPlace } from '../store/operation-queries.ts';
import type { StoreReader } from '../store/reader.ts';
import { openMemoryStore } from '../store/store.ts';
import { ExitCode } from './exit-code.ts';
import { bySeverity, createProgress, findingLines, print, printJson, say, severityRank } from './output.ts';

/**
 * Trace dumps in, a report out: the same stages and the same store as the server, in one thread and without a log. The
 * report depends on the set of spans only, not on the order of files or of spans in them.
 */

const PAGE = 200;

export interface ScanOptions {
  readonly json: boolean;
  readonly severity: string;
  readonly exitZero: boolean;
  readonly strict: boolean;
}

/** One thing that could not be read. */
export interface ScanError {
  readonly file: string;
  /** `line 3`, `record 2`, `data[1]`; '' for the whole file. */
  readonly place: string;
  readonly message: string;
}

export interface ScanReport {
  readonly findings: readonly ScanFinding[];
  readonly operations: readonly OperationView[];
  readonly summary: {
    readonly files: number;
    readonly spans: number;
    readonly duplicates: number;
    readonly rejected: number;
    readonly callPaths: number;
    readonly findings: number;
  };
  readonly errors: readonly ScanError[];
}

/** A finding as the API details it, less what only a server knows: triage, history, and how often it was rewritten. */
export type ScanFinding = Omit<FindingDetail, 'revision' | 'triage' | 'history'>;

export async function scan(config: Config, files: readonly string[], options: ScanOptions): Promise<number> {
  const progress = createProgress();
  const report = scanFiles(config, files, (text) => progress.update(text));
  progress.done();
  if (options.json) printJson(report);
  else printReport(report);
  for (const { file, place, message } of options.json ? [] : report.errors)
    say(`${file}${place === '' ? '' : `:${place}`}: ${message}`);
  const unreadable = report.errors.some(({ place }) => place === '');
  if (unreadable || (options.strict && report.errors.length > 0)) return ExitCode.input;
  if (options.exitZero) return ExitCode.clean;
  const threshold = severityRank(options.severity as Severity);
  return report.findings.some(({ severity }) => severityRank(severity) >= threshold)
    ? ExitCode.findings
    : ExitCode.clean;
}

function printReport({ findings, operations, summary }: ScanReport): void {
  if (findings.length > 0) print(`${findings.map(findingLines).join('\n\n')}\n`);
  print(
    `${summary.findings} findings in ${summary.callPaths} call paths of ${operations.length} operations ` +
      `(${summary.spans} spans, ${summary.duplicates} repeated, ${summary.rejected} rejected, ${summary.files} files)`,
  );
}

/** @throws what an unusable rules folder or key throws; unreadable input is in `errors` */
export function scanFiles(config: Config, files: readonly string[], onProgress: (text: string) => void): ScanReport {
  const counters = new Counters();
  const bugs: ScanError[] = [];
  const pipeline = createPipeline({
    // the whole dump is open until its end, so that nothing depends on the order of its spans
    limits: { ...config.limits, openTracesMax: Number.MAX_SAFE_INTEGER, openBytesMax: Number.MAX_SAFE_INTEGER },
    time: 'event',
    clientAddress: config.clientAddress,
    pseudonym: createPseudonym(openHashKey(config)),
    pseudonymKeyId: config.hashKeyId,
    estate: toEstate(config),
    coveredHosts: config.coveredHosts,
    ruleSet: loadRules(config),
    counters,
    history: { readTrace: () => undefined, mark: () => undefined },
    onBug: (stage, error) =>
      bugs.push({ file: '', place: stage, message: error instanceof Error ? error.message : String(error) }),
  });
  const errors: ScanError[] = [];
  for (const [i, file] of files.entries()) {
    onProgress(`reading ${i + 1} of ${files.length}: ${basename(file)}`);
    const before = spansRead(counters);
    const problems = readInto(pipeline, file, config.limits.httpBodyBytesMax);
    errors.push(...problems);
    if (problems.length > 0 && spansRead(counters) === before && problems.every(({ place }) => place !== '')) {
      errors.push({ file, place: '', message: 'no span in it could be read' });
    }
  }
  onProgress('judging call paths');
  pipeline.flush();
  const { store, reader } = openMemoryStore({ assembleIdleMs: config.limits.assembleIdleMs });
  try {
    store.apply(pipeline.checkpoint());
    const findings = allFindings(reader).sort(bySeverity);
    return {
      findings,
      operations: allOperations(reader),
      summary: {
        files: files.length,
        spans: counters.value('spans_stored_total'),
        duplicates: counters.value('spans_duplicate_total'),
        rejected:
          counters.value('spans_rejected_total', 'trace-id') + counters.value('spans_rejected_total', 'span-id'),
        callPaths: counters.value('call_paths_total'),
        findings: findings.length,
      },
      errors: [...errors, ...bugs].sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0)),
    };
  } finally {
    store.close();
  }
}

function readInto(pipeline: ReturnType<typeof createPipeline>, file: string, bytesMax: number): ScanError[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    return [
      { file, place: '', message: `cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}` },
    ];
  }
  try {
    return pipeline.acceptDump(bytes, file, bytesMax).map(({ place, message }) => ({ file, place, message }));
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    // the decoder names the file too, for those who have no list of errors
    const named = `${file}: `;
    return [
      { file, place: '', message: error.message.startsWith(named) ? error.message.slice(named.length) : error.message },
    ];
  }
}

const spansRead = (counters: Counters): number =>
  counters.value('spans_stored_total') + counters.value('spans_duplicate_total');

function allFindings(reader: StoreReader): ScanFinding[] {
  const found: ScanFinding[] = [];
  for (const { id } of everyPage((after: FindingPlace | undefined) => reader.findings({ limit: PAGE, after }))) {
    const detail = reader.finding(id);
    if (detail === undefined) continue;
    const { revision: _revision, triage: _triage, history: _history, ...finding } = detail;
    found.push(finding);
  }
  return found;
}

const allOperations = (reader: StoreReader): OperationView[] => [
  ...everyPage((after: OperationPlace | undefined) => reader.operations({ limit: PAGE, after })),
];

function* everyPage<T, P>(
  page: (after: P | undefined) => { readonly items: readonly T[]; readonly next: P | undefined },
): Iterable<T> {
  let after: P | undefined;
  do {
    const { items, next } = page(after);
    yield* items;
    after = next;
  } while (after !== undefined);
}
