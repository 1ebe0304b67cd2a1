import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { ListenError } from '../base/listen-error.ts';
import { RulesError } from '../catalog.ts';
import { nearest } from '../config.ts';
import { DEMO_ESTATE, demo, demoDataDir } from './demo.ts';
import { CommandError, ExitCode } from './exit-code.ts';
import { listFindings, showFinding } from './findings.ts';
import { print, printJson, say } from './output.ts';
import { printConfig } from './print-config.ts';
import { lintRules, testRules } from './rules.ts';
import { scan } from './scan.ts';
import { serve } from './serve.ts';
import { configOf, withConfigOptions } from './settings.ts';

/** The `spanwarden` command: arguments in, exit code out. */

type Flags = Readonly<Record<string, unknown>>;
const SEVERITIES = ['info', 'low', 'medium', 'high', 'critical'];

/** Runs one command line (`process.argv` form) and gives its exit code; every message is written, nothing is thrown. */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode: number = ExitCode.clean;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv]);
    return exitCode;
  } catch (error) {
    return explain(error);
  }
}

/** What went wrong, on stderr; the exit code it means. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.clean : ExitCode.usage;
  if (error instanceof CommandError) {
    say(error.message);
    return error.exitCode;
  }
  if (error instanceof RulesError) {
    say(`the rules have ${error.errors.length} ${error.errors.length === 1 ? 'error' : 'errors'}:\n${error.message}`);
    return ExitCode.usage;
  }
  const message = error instanceof Error ? error.message : String(error);
  say(message);
  if (error instanceof ListenError)
    say(
      'choose another port (--otlp-grpc-port, --otlp-http-port, --http-port, or --port-offset for all), or stop what uses it',
    );
  else if (process.env['SPANWARDEN_LOG_LEVEL'] === 'debug' && error instanceof Error) say(error.stack ?? '');
  return ExitCode.usage;
}

function createProgram(done: (exitCode: number) => void): Command {
  const program = new Command('spanwarden')
    .description(
      'Security collector for distributed traces: OpenTelemetry spans in, findings along whole call chains out',
    )
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(--help lists the options)')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing found, 1 findings, 2 usage or configuration, 3 unreadable input, 4 no server',
    );

  withPortOffset(withConfigOptions(program.command('serve')))
    .description('run the collector: OTLP in, REST and metrics out')
    .action(async (flags: Flags) => {
      const config = configOf(shifted(flags));
      await serve(config);
    });

  withPortOffset(withConfigOptions(program.command('demo')))
    .description('run instrumented services, attack them, and show what the collector says of it')
    .option('--no-serve', 'end after printing the findings')
    .option('--json', 'print the findings as one JSON array')
    .action(async (flags: Flags) => {
      const named = (flags['dataDir'] ?? process.env['SPANWARDEN_DATA_DIR']) as string | undefined;
      const dataDir = demoDataDir(named);
      try {
        const config = configOf({ ...shifted(flags), dataDir: dataDir.path }, { ...DEMO_ESTATE, logLevel: 'warn' });
        done(await demo(config, { json: flags['json'] === true, stay: flags['serve'] !== false }));
      } finally {
        dataDir.dispose();
      }
    });

  withConfigOptions(program.command('scan'))
    .description(
      'run the rules over trace dumps, without a server: OTLP JSON, JSON lines or protobuf, Jaeger JSON, Zipkin JSON; plain or gzip',
    )
    .argument('<file...>', 'files, or - for standard input')
    .option('--json', 'print one object { findings, operations, summary, errors }')
    .option('--severity <level>', 'least severity that makes the exit code 1', oneOf(SEVERITIES), 'info')
    .option('--exit-zero', 'exit 0 in spite of findings')
    .option('--strict', 'exit 3 when a part of the input could not be read')
    .action(async (files: string[], flags: Flags) => {
      done(
        await scan(configOf(flags, { time: 'event' }), files, {
          json: flags['json'] === true,
          severity: String(flags['severity']),
          exitZero: flags['exitZero'] === true,
          strict: flags['strict'] === true,
        }),
      );
    });

  const findings = program.command('findings').description('findings of a running collector');
  withConfigOptions(findings.command('ls', { isDefault: true }))
    .description('list them, worst first; exit code 1 when there are any')
    .option('--json', 'print a JSON array')
    .option('--status <status>', 'open, triaged, confirmed, resolved or archived')
    .option('--rule <id>', 'of one rule')
    .option('--severity <level>', 'of one severity', oneOf(SEVERITIES))
    .option('--principal <id>', 'about one principal')
    .option('--operation <text>', 'about one endpoint')
    .option('--since <time>', 'seen last at or after this time (RFC 3339)')
    .option('--until <time>', 'seen first at or before this time (RFC 3339)')
    .action(async (flags: Flags) => {
      const names = ['status', 'rule', 'severity', 'principal', 'operation', 'since', 'until'];
      const filters = Object.fromEntries(
        names.flatMap((name) => (flags[name] === undefined ? [] : [[name, String(flags[name])]])),
      );
      done(await listFindings(configOf(flags), filters, flags['json'] === true));
    });
  withConfigOptions(findings.command('show'))
    .description('everything about one finding')
    .argument('<id>', 'F-…')
    .option('--json', 'print one JSON object')
    .action(async (id: string, flags: Flags) => done(await showFinding(configOf(flags), id, flags['json'] === true)));

  const rules = program.command('rules').description('the catalogue and your own rules');
  withConfigOptions(rules.command('test'))
    .description('run the tests that stand in the rule files against their recorded traces')
    .option('--dir <folder>', 'rules folder (default: the shipped catalogue)')
    .option('--json', 'print a JSON array of test results')
    .action((flags: Flags) =>
      done(testRules(configOf(flags), flags['dir'] as string | undefined, flags['json'] === true)),
    );
  withConfigOptions(rules.command('lint'))
    .description('check rule files; every error with file, line and column')
    .argument('[folder]', 'rules folder (default: the shipped catalogue)')
    .option('--json', 'print a JSON array of errors')
    .action((folder: string | undefined, flags: Flags) =>
      done(lintRules(configOf(flags), folder, flags['json'] === true)),
    );

  withConfigOptions(program.command('config').description('the configuration').command('print'))
    .description('every option with its value in force, secrets masked')
    .option('--json', 'print one JSON object')
    .action((flags: Flags) => printConfig(configOf(flags), flags['json'] === true));

  program
    .command('version')
    .description('the version of this collector')
    .option('--json', 'print one JSON object')
    .action((flags: Flags) => {
      const version = createRequire(import.meta.url)('../../package.json').version as string;
      if (flags['json'] === true) printJson({ version, node: process.versions.node });
      else print(version);
    });
  return program;
}

function withPortOffset(command: Command): Command {
  return command.option('--port-offset <n>', 'add this to all three ports');
}

/** Moves the three ports together. */
function shifted(flags: Flags): Flags {
  const { portOffset, ...rest } = flags;
  if (portOffset === undefined) return rest;
  const offset = Number(portOffset);
  if (!Number.isInteger(offset))
    throw new CommandError(ExitCode.usage, `--port-offset ${JSON.stringify(portOffset)}: is not an integer`);
  const ports = { otlpGrpcPort: 4317, otlpHttpPort: 4318, httpPort: 4319 };
  const moved = Object.entries(ports).map(([name, port]) => [
    name,
    (rest[name] === undefined ? port : Number(rest[name])) + offset,
  ]);
  return { ...rest, ...Object.fromEntries(moved) };
}

function oneOf(words: readonly string[]): (value: string) => string {
  return (value) => {
    if (words.includes(value)) return value;
    const near = nearest(value, words);
    throw new CommandError(
      ExitCode.usage,
      `${JSON.stringify(value)} is not one of ${words.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`,
    );
  };
}
