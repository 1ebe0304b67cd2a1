import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Config, ConfigError, OPTIONS, parseConfig, toEnvironment, toFlag } from './config.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'spanwarden-config-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(text: string): string {
  const path = join(directory, 'spanwarden.yaml');
  writeFileSync(path, text);
  return path;
}

function problemsOf(read: () => unknown): readonly { where: string; message: string }[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('configuration', () => {
  it('is usable without any source, on loopback only', () => {
    const config = parseConfig({ directory });
    expect([config.otlpAddress, config.httpAddress]).toEqual(['127.0.0.1', '127.0.0.1']);
    expect([config.otlpGrpcPort, config.otlpHttpPort, config.httpPort]).toEqual([4317, 4318, 4319]);
  });

  it('takes the flag before the environment, the environment before the file, the file before the default', () => {
    const path = file('otlpGrpcPort: 1\notlpHttpPort: 1\nhttpPort: 1\n');
    const environment = { SPANWARDEN_OTLP_GRPC_PORT: '2', SPANWARDEN_OTLP_HTTP_PORT: '3' };
    const config = parseConfig({ file: path, environment, flags: { otlpGrpcPort: '4' } });
    expect([config.otlpGrpcPort, config.otlpHttpPort, config.httpPort]).toEqual([4, 3, 1]);
  });

  it('has the environment names that outside checks rely on', () => {
    const names = OPTIONS.map(({ name }) => toEnvironment(name));
    expect(names).toEqual(
      expect.arrayContaining([
        'SPANWARDEN_DATA_DIR',
        'SPANWARDEN_OTLP_GRPC_PORT',
        'SPANWARDEN_OTLP_HTTP_PORT',
        'SPANWARDEN_HTTP_PORT',
        'SPANWARDEN_CONSOLE_TOKEN',
        'SPANWARDEN_RULES_DIR',
        'SPANWARDEN_ASSEMBLE_IDLE_MS',
        'SPANWARDEN_TIME',
      ]),
    );
    expect(toFlag('otlpGrpcPort')).toBe('--otlp-grpc-port');
  });

  it('lists every problem with the place where it was written', () => {
    const path = file('otlpGrpcPort: many\nassembleIdelMs: 5\n');
    const problems = problemsOf(() =>
      parseConfig({ file: path, environment: { SPANWARDEN_TIME: 'yesterday' }, flags: { httpPort: '99999' } }),
    );
    expect(problems.map(({ where }) => where).sort()).toEqual(
      ['--http-port', 'SPANWARDEN_TIME', `${path}:1:1`, `${path}:2:1`].sort(),
    );
    expect(problems.find(({ where }) => where.endsWith(':2:1'))?.message).toBe(
      'unknown option "assembleIdelMs"; did you mean "assembleIdleMs"?',
    );
  });

  it('gives line and column of broken YAML', () => {
    const path = file('otlpGrpcPort: 1\nrulesDir: [a\n');
    expect(problemsOf(() => parseConfig({ file: path }))[0]?.where).toMatch(/spanwarden\.yaml:\d+:\d+$/);
  });

  it('refuses an address beyond loopback without tokens, unless told that another layer authenticates', () => {
    const flags = { otlpAddress: '0.0.0.0' };
    expect(problemsOf(() => parseConfig({ directory: '/', flags }))).toHaveLength(1);
    expect(
      problemsOf(() => parseConfig({ directory: '/', flags: { ...flags, otlpTokens: 'a-long-ingest-token' } })),
    ).toEqual([]);
    expect(problemsOf(() => parseConfig({ directory: '/', flags: { ...flags, insecureNoAuth: true } }))).toEqual([]);
  });

  it('refuses one port for two purposes', () => {
    expect(problemsOf(() => parseConfig({ directory: '/', flags: { httpPort: '4317' } }))[0]?.message).toBe(
      'port 4317 is also otlpGrpcPort',
    );
  });

  it('reads secrets from the environment and never prints them', () => {
    const path = file(['consoleToken: ', '$', '{env:MY_TOKEN}\n'].join(''));
    const token = 'a-token-that-must-not-be-seen';
    const config: Config = parseConfig({ file: path, environment: { MY_TOKEN: token } });
    expect(config.consoleToken?.reveal()).toBe(token);
    expect(JSON.stringify(config) + inspect(config, { depth: 9 }) + String(config.consoleToken)).not.toContain(token);
  });

  it('does not quote a secret that is too short', () => {
    const problems = problemsOf(() => parseConfig({ directory: '/', flags: { consoleToken: 'hunter2' } }));
    expect(problems).toHaveLength(1);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });
});
