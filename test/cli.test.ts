import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toJsonRequest } from './support/otlp-encode.ts';
import { createRandom, shuffle } from './support/random.ts';
import { collectorMain, repoRoot } from './support/repo-root.ts';
import { Traffic } from './support/traffic.ts';

/** The `spanwarden` command as users meet it: a process, its output, its exit code. */

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'spanwarden-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function spanwarden(args: readonly string[], environment: Record<string, string> = {}): SpawnSyncReturns<string> {
  const env = { PATH: process.env['PATH'], SPANWARDEN_DATA_DIR: join(folder, 'data'), ...environment };
  return spawnSync(process.execPath, [collectorMain, ...args], { cwd: folder, env, encoding: 'utf8', timeout: 60_000 });
}

function write(name: string, content: string | Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

const traffic = new Traffic({
  seed: 11,
  tracesPerFlight: 30,
  startMs: Date.parse('2026-04-01T08:00:00Z'),
  attacks: { 'access/unauthorized-effect': 1, 'exposure/unauthenticated-sensitive-read': 2 },
});
const lines = Array.from({ length: traffic.flightRequests }, (_, request) =>
  toJsonRequest([traffic.group(0, request)]),
);
const quiet = new Traffic({ seed: 12, tracesPerFlight: 30, startMs: Date.parse('2026-04-01T08:00:00Z') });
const quietLines = Array.from({ length: quiet.flightRequests }, (_, request) =>
  toJsonRequest([quiet.group(0, request)]),
);

describe('scan', () => {
  it('exits 1 with findings and 0 without', () => {
    const attacked = write('attacked.jsonl', lines.join('\n'));
    expect(spanwarden(['scan', attacked]).status).toBe(1);
    expect(spanwarden(['scan', attacked, '--exit-zero']).status).toBe(0);
    const clean = spanwarden(['scan', write('quiet.jsonl', quietLines.join('\n'))]);
    expect({ status: clean.status, stderr: clean.stderr }).toEqual({ status: 0, stderr: '' });
    expect(clean.stdout).toMatch(/^0 findings in 30 call paths/);
  });

  it('names the planted attacks, with evidence that is connected', () => {
    const { stdout } = spanwarden(['scan', '--json', write('attacked.jsonl', lines.join('\n'))]);
    const report = JSON.parse(stdout) as {
      findings: {
        rule: { id: string };
        count: number;
        evidence: { spans: { spanId: string; parentSpanId: string }[] };
      }[];
      operations: unknown[];
      summary: { spans: number };
      errors: unknown[];
    };
    expect(Object.keys(report)).toEqual(['findings', 'operations', 'summary', 'errors']);
    expect(report.summary.spans).toBe(traffic.flightSpans);
    expect(report.errors).toEqual([]);
    const counts = new Map<string, number>();
    for (const { rule, count } of report.findings) counts.set(rule.id, (counts.get(rule.id) ?? 0) + count);
    expect(Object.fromEntries(counts)).toEqual({
      'access/unauthorized-effect': 1,
      'exposure/unauthenticated-sensitive-read': 2,
    });
    for (const { evidence } of report.findings) {
      const known = new Set(evidence.spans.map(({ spanId }) => spanId));
      expect(evidence.spans.filter(({ parentSpanId }) => !known.has(parentSpanId))).toHaveLength(1);
    }
  });

  it('prints the same bytes whatever the order of lines, files, encodings and repeats', () => {
    const report = spanwarden(['scan', '--json', write('a.jsonl', lines.join('\n'))]).stdout;
    const random = createRandom(3);
    const shuffled = shuffle([...lines], random);
    const half = Math.floor(shuffled.length / 2);
    const files = [
      write('b.jsonl.gz', gzipSync(shuffled.slice(half).join('\n'))),
      write('c.jsonl', shuffled.slice(0, half).join('\n')),
    ];
    const other = spanwarden(['scan', '--json', ...files]).stdout;
    expect(JSON.parse(other)).toEqual({ ...JSON.parse(report), summary: { ...JSON.parse(report).summary, files: 2 } });
    const reordered = spanwarden(['scan', '--json', write('a.jsonl', shuffled.join('\n'))]).stdout;
    expect(reordered).toBe(report);
  });

  it('exits 3 for input that cannot be read, and names file and place', () => {
    expect(spanwarden(['scan', join(folder, 'absent.json')])).toMatchObject({
      status: 3,
      stderr: `${join(folder, 'absent.json')}: cannot be read: ENOENT\n`,
    });
    const broken = spanwarden(['scan', write('broken.json', '{"resourceSpans": [')]);
    expect(broken.status).toBe(3);
    expect(broken.stderr).toMatch(/^\S+broken\.json: [^/]+\n$/);
    const nothing = spanwarden(['scan', write('nothing.jsonl', '{"resourceSpans": oops\n{"hello": 1}\n')]);
    expect(nothing.status).toBe(3);
  });

  it('reads the good lines of a file with a bad one, and says which was bad', () => {
    const file = write('mixed.jsonl', [lines[0], '{"resourceSpans": oops', ...lines.slice(1)].join('\n'));
    const lenient = spanwarden(['scan', '--json', file]);
    const report = JSON.parse(lenient.stdout) as { summary: { spans: number }; errors: { place: string }[] };
    expect([lenient.status, report.summary.spans, report.errors.map(({ place }) => place)]).toEqual([
      1,
      traffic.flightSpans,
      ['line 2'],
    ]);
    expect(spanwarden(['scan', '--strict', file]).status).toBe(3);
  });

  it('writes no colours and no progress where there is no terminal', () => {
    const { stdout, stderr } = spanwarden(['scan', write('attacked.jsonl', lines.join('\n'))]);
    expect(stdout + stderr).not.toContain('\u001b');
    expect(spanwarden(['scan', join(folder, 'attacked.jsonl')], { FORCE_COLOR: '1' }).stdout).toContain('\u001b');
  });
});

describe('rules', () => {
  it('passes the tests of the shipped catalogue through the whole pipeline', () => {
    const { status, stdout } = spanwarden(['rules', 'test']);
    const [, passed, all, rules] = /^(\d+) of (\d+) tests of (\d+) rules passed/m.exec(stdout) ?? [];
    expect({ status, stdout: stdout.includes('FAILED') ? stdout : '' }).toEqual({ status: 0, stdout: '' });
    expect(passed).toBe(all);
    expect(Number(rules)).toBeGreaterThanOrEqual(10);
  });

  it('lists every error of a rules folder with file, line and column, and exits 2', () => {
    const own = join(folder, 'own');
    mkdirSync(join(own, 'access'), { recursive: true });
    writeFileSync(
      join(own, 'access', 'typo.yaml'),
      'id: access/typo\ntitle: Typo\nquestion: Is it?\nlevel: hgh\ndetection:\n  entry: {apisec.entry: true}\n  condition: entyr\n',
    );
    const lint = spanwarden(['rules', 'lint', own]);
    expect(lint.status).toBe(2);
    expect(lint.stdout).toMatch(/access\/typo\.yaml:4:\d+: E_\w+/);
    expect(lint.stdout).toMatch(/access\/typo\.yaml:7:\d+: E_NAME .*did you mean "entry"/);
    const serve = spanwarden(['serve', '--rules-dir', own, '--port-offset', '30000']);
    expect(serve.status).toBe(2);
    expect(serve.stderr).toContain('access/typo.yaml:7:');
  });
});

describe('configuration and usage', () => {
  it('prints every option with its value and no secret', () => {
    const token = 'a-token-that-must-not-be-seen';
    const { status, stdout } = spanwarden(['config', 'print', '--json'], {
      SPANWARDEN_CONSOLE_TOKEN: token,
      SPANWARDEN_ASSEMBLE_IDLE_MS: '1234',
    });
    expect([status, JSON.parse(stdout).assembleIdleMs, JSON.parse(stdout).consoleToken]).toEqual([0, 1234, '[secret]']);
  });

  it('exits 2 with every problem of the configuration', () => {
    const { status, stderr } = spanwarden(['serve', '--http-port', 'x'], { SPANWARDEN_TIME: 'never' });
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /2 problems[\s\S]*SPANWARDEN_TIME[\s\S]*--http-port|2 problems[\s\S]*--http-port[\s\S]*SPANWARDEN_TIME/,
    );
  });

  it('exits 2 for an unknown command or option and suggests a known one', () => {
    expect(spanwarden(['scna', 'x'])).toMatchObject({ status: 2 });
    expect(spanwarden(['scna', 'x']).stderr).toContain('scan');
    expect(spanwarden(['scan', 'x', '--jsno']).stderr).toContain('--json');
  });

  it('exits 4 when no collector answers, and says what to do', () => {
    const { status, stderr } = spanwarden(['findings', 'ls', '--http-port', '1']);
    expect(status).toBe(4);
    expect(stderr).toContain('spanwarden serve');
  });

  it('names a busy port and what it was wanted for', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { status, stderr } = spanwarden([
      'serve',
      '--otlp-grpc-port',
      String(port),
      '--otlp-http-port',
      '0',
      '--http-port',
      '0',
    ]);
    server.close();
    expect(status).toBe(2);
    expect(stderr).toContain(`port ${port} (OTLP/gRPC) is in use`);
  });

  it('leaves nothing in the folder it is run in but the data folder it was given', () => {
    expect(readdirSync(repoRoot)).not.toContain('.spanwarden');
  });
});
