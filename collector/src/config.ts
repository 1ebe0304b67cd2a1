import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { DEFAULT_LIMITS, type Limits } from './base/limits.ts';
import { Secret } from './base/secret.ts';
import type { EstateSettings } from './enrich/draft.ts';

/**
 * Flags, environment and YAML in; one checked Config out. Every problem is listed, none is repaired silently.
 *
 * Each option has one name in three styles: `--otlp-grpc-port`, `SPANWARDEN_OTLP_GRPC_PORT`, `otlpGrpcPort:`.
 * Precedence: flag, environment, `./spanwarden.yaml` (or `--config FILE`), `/etc/spanwarden/config.yaml`, default.
 */

const port = z.coerce.number().int().min(0).max(65535);
const positive = z.coerce.number().int().positive();
const whole = z.coerce.number().int().nonnegative();
const text = z.string();
const list = z
  .union([z.array(z.string()), z.string()])
  .transform((value) =>
    (typeof value === 'string' ? value.split(',') : value).map((item) => item.trim()).filter((item) => item !== ''),
  );
const flag = z
  .union([z.boolean(), z.enum(['true', 'false', '1', '0'])])
  .transform((value) => value === true || value === 'true' || value === '1');
const address = z.string().refine((value) => value === 'localhost' || isIP(value) !== 0, 'is not an IP address');
const secret = z
  .string()
  .min(16, 'needs at least 16 characters')
  .transform((value) => new Secret(value));

interface Option<T extends z.ZodType> {
  readonly schema: T;
  readonly fallback: z.output<T>;
  /** One sentence for `--help` and `config print`. */
  readonly about: string;
}

function option<T extends z.ZodType>(schema: T, fallback: z.output<T>, about: string): Option<T> {
  return { schema, fallback, about };
}

const SETTINGS = {
  dataDir: option(text.min(1), '.spanwarden', 'folder of the databases and keys'),
  otlpAddress: option(address, '127.0.0.1', 'address on which OTLP is received'),
  otlpGrpcPort: option(port, 4317, 'OTLP/gRPC port'),
  otlpHttpPort: option(port, 4318, 'OTLP/HTTP port'),
  otlpTokens: option(list, [], 'ingest tokens; when given, exporters must send one as `authorization: Bearer`'),
  httpAddress: option(address, '127.0.0.1', 'address of console, REST and metrics'),
  httpPort: option(port, 4319, 'port of console, REST and metrics'),
  consoleToken: option(
    secret.optional(),
    undefined,
    'token for /api; generated and stored in the data folder when absent',
  ),
  allowedHosts: option(list, [], 'further Host header names that the REST API answers to'),
  insecureNoAuth: option(flag, false, 'accept OTLP without a token on an address that is not loopback'),
  rulesDir: option(text.optional(), undefined, 'folder with your own rules, added to the shipped catalogue'),
  time: option(
    z.enum(['clamped', 'event']),
    'clamped',
    '`event` takes event times as recorded (replays); `clamped` bounds them by the time of receipt',
  ),
  hashKey: option(
    secret.optional(),
    undefined,
    'key of the pseudonyms; generated and stored in the data folder when absent',
  ),
  hashKeyFile: option(text.optional(), undefined, 'file that holds the key of the pseudonyms'),
  hashKeyId: option(text.regex(/^[A-Za-z0-9_.-]{1,16}$/), 'k1', 'name of that key'),
  clientAddress: option(
    z.enum(['full', 'prefix', 'hash']),
    'prefix',
    'how client addresses are kept: in full, as /24 or /48, or as a pseudonym',
  ),
  gateways: option(list, [], 'service names of gateways, instead of the shipped list $gateways'),
  approvedEgress: option(
    list,
    [],
    'hosts that may receive regulated data, instead of the shipped list $approved_egress',
  ),
  ownHosts: option(list, [], 'host names or suffixes that are ours: calls to them are no egress'),
  coveredHosts: option(
    list,
    [],
    'host:port of services that send spans; a call to one without a server span is incomplete',
  ),
  exposures: option(list, [], 'declared exposure, `service=external|internal|partner|third-party`'),
  retentionDays: option(positive, 14, 'days that raw traces are kept'),
  retentionBytesMax: option(positive, 50 * 1024 * 1024 * 1024, 'bytes that raw traces may take'),
  memoryBytesMax: option(positive, 2 * 1024 * 1024 * 1024, 'process memory at which exports are refused'),
  logLevel: option(z.enum(['debug', 'info', 'warn', 'error', 'silent']), 'info', 'what goes to the log (stderr)'),
} as const;

const LIMIT_NAMES = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];

type Settings = { readonly [K in keyof typeof SETTINGS]: z.output<(typeof SETTINGS)[K]['schema']> };
export type Config = Settings & { readonly limits: Limits };

/** Option names in camel case, with what `--help` says about each. */
export const OPTIONS: readonly { readonly name: string; readonly about: string }[] = [
  ...Object.entries(SETTINGS).map(([name, { about }]) => ({ name, about })),
  ...LIMIT_NAMES.map((name) => ({ name, about: `limit, default ${DEFAULT_LIMITS[name]}` })),
];

/** One thing that is wrong, and where it was written. */
export interface ConfigProblem {
  readonly where: string;
  readonly message: string;
}

/** Configuration that cannot be used; the CLI prints every problem and exits 2. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ where, message }) => `${where}: ${message}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export const toFlag = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
export const toEnvironment = (name: string): string =>
  `SPANWARDEN_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

interface Given {
  readonly value: unknown;
  readonly where: string;
}

export interface ConfigSources {
  /** Parsed flags by camel-case name; undefined ones were not given. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Explicit configuration file; it must exist. */
  readonly file?: string | undefined;
  /** Folder in which `spanwarden.yaml` is looked for. */
  readonly directory?: string;
}

/** Reads all sources. @throws ConfigError listing every problem. */
export function parseConfig(sources: ConfigSources): Config {
  const problems: ConfigProblem[] = [];
  const given = new Map<string, Given>();
  for (const path of configFiles(sources)) readFileInto(given, path, sources.environment ?? {}, problems);
  for (const { name } of OPTIONS) {
    const variable = toEnvironment(name);
    const value = sources.environment?.[variable];
    if (value !== undefined && value !== '') given.set(name, { value, where: variable });
  }
  for (const { name } of OPTIONS) {
    const value = sources.flags?.[name];
    if (value !== undefined) given.set(name, { value, where: toFlag(name) });
  }
  const settings: Record<string, unknown> = {};
  for (const [name, { schema, fallback }] of Object.entries(SETTINGS)) {
    settings[name] = checked(name, schema, fallback, given, problems);
  }
  const limits: Record<string, unknown> = {};
  for (const name of LIMIT_NAMES) {
    limits[name] = checked(name, name.endsWith('Ms') ? whole : positive, DEFAULT_LIMITS[name], given, problems);
  }
  const config = { ...settings, dataDir: resolve(String(settings['dataDir'])), limits } as unknown as Config;
  if (problems.length === 0) checkTogether(config, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function checked(
  name: string,
  schema: z.ZodType,
  fallback: unknown,
  given: ReadonlyMap<string, Given>,
  problems: ConfigProblem[],
): unknown {
  const found = given.get(name);
  if (found === undefined) return fallback;
  const result = schema.safeParse(found.value);
  if (result.success) return result.data;
  const shown = JSON.stringify(
    schema === SETTINGS.consoleToken.schema || schema === SETTINGS.hashKey.schema ? '…' : found.value,
  );
  for (const issue of result.error.issues) problems.push({ where: found.where, message: `${shown}: ${issue.message}` });
  return fallback;
}

const isLoopback = (value: string): boolean => value === 'localhost' || value === '::1' || value.startsWith('127.');

/** A collector that everybody can write to is a hole: an address beyond loopback needs tokens, or an explicit waiver. */
function checkTogether(config: Config, problems: ConfigProblem[]): void {
  if (!isLoopback(config.otlpAddress) && config.otlpTokens.length === 0 && !config.insecureNoAuth) {
    problems.push({
      where: 'otlpAddress',
      message: `${config.otlpAddress} is not loopback and no otlpTokens are set: set ${toEnvironment('otlpTokens')}, or ${toFlag('insecureNoAuth')} if another layer authenticates`,
    });
  }
  for (const rule of config.exposures) {
    if (!/^[^=]+=(external|internal|partner|third-party)$/.test(rule)) {
      problems.push({
        where: 'exposures',
        message: `${JSON.stringify(rule)} is not service=external|internal|partner|third-party`,
      });
    }
  }
  const ports = [
    ['otlpGrpcPort', config.otlpGrpcPort],
    ['otlpHttpPort', config.otlpHttpPort],
    ['httpPort', config.httpPort],
  ] as const;
  for (const [i, [name, number]] of ports.entries()) {
    const twin = ports.slice(0, i).find(([, other]) => other === number && number !== 0);
    if (twin !== undefined) problems.push({ where: name, message: `port ${number} is also ${twin[0]}` });
  }
}

/** Least binding first. */
function configFiles(sources: ConfigSources): string[] {
  const system = '/etc/spanwarden/config.yaml';
  const local = sources.file ?? join(sources.directory ?? '.', 'spanwarden.yaml');
  return [system, local].filter((path) => path === sources.file || existsSync(path));
}

function readFileInto(
  given: Map<string, Given>,
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
  problems: ConfigProblem[],
): void {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (error) {
    problems.push({
      where: path,
      message: `cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
    });
    return;
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  for (const error of document.errors) problems.push({ where: at(error.pos[0]), message: error.message });
  if (document.errors.length > 0 || document.contents === null) return;
  const root = document.contents as unknown as {
    items?: { key: { value?: unknown; range?: [number, number, number] }; value: { toJSON?: () => unknown } | null }[];
  };
  if (!Array.isArray(root.items)) {
    problems.push({ where: `${path}:1:1`, message: 'must be a map of options' });
    return;
  }
  for (const item of root.items) {
    const name = String(item.key.value);
    const where = at(item.key.range?.[0] ?? 0);
    if (!OPTIONS.some((known) => known.name === name)) {
      const near = nearest(name);
      problems.push({
        where,
        message: `unknown option ${JSON.stringify(name)}${near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`}`,
      });
      continue;
    }
    const value = item.value?.toJSON?.() ?? undefined;
    given.set(name, { value: withEnvironment(value, environment, where, problems), where });
  }
}

/** `${env:NAME}` keeps secrets out of the file. */
function withEnvironment(
  value: unknown,
  environment: Readonly<Record<string, string | undefined>>,
  where: string,
  problems: ConfigProblem[],
): unknown {
  if (Array.isArray(value)) return value.map((item) => withEnvironment(item, environment, where, problems));
  if (typeof value !== 'string') return value;
  return value.replace(/\$\{env:([A-Za-z0-9_]+)\}/g, (_, name: string) => {
    const found = environment[name];
    if (found === undefined) problems.push({ where, message: `environment variable ${name} is not set` });
    return found ?? '';
  });
}

/** What the operator says about the estate, as enrichment takes it. */
export function toEstate(config: Pick<Config, 'ownHosts' | 'coveredHosts' | 'exposures'>): EstateSettings {
  const exposures = config.exposures.map((declared) => {
    const [service, exposure] = declared.split('=') as [string, EstateSettings['exposures'][number]['exposure']];
    return { service, exposure };
  });
  return { ownHosts: config.ownHosts, exposures };
}

/** The known option that differs least from `name`, if it is close. */
export function nearest(
  name: string,
  names: readonly string[] = OPTIONS.map((known) => known.name),
): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
