import { type Command, Option } from 'commander';
import { DEFAULT_LIMITS } from '../base/limits.ts';
import { type Config, ConfigError, OPTIONS, parseConfig, toEnvironment, toFlag } from '../config.ts';
import { CommandError, ExitCode } from './exit-code.ts';

const FLAGS_WITHOUT_VALUE = new Set(['insecureNoAuth']);

/** Adds every configuration option as a flag; limits are accepted but not listed, `config print` shows them. */
export function withConfigOptions(command: Command): Command {
  command.option('-c, --config <file>', 'configuration file (default ./spanwarden.yaml)');
  for (const { name, about } of OPTIONS) {
    const flag = FLAGS_WITHOUT_VALUE.has(name) ? toFlag(name) : `${toFlag(name)} <value>`;
    const option = new Option(flag, `${about} [${toEnvironment(name)}]`);
    if (name in DEFAULT_LIMITS) option.hideHelp();
    command.addOption(option);
  }
  return command;
}

/** The configuration that flags, environment and file give. @throws CommandError (exit 2) that lists every problem */
export function configOf(
  flags: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>> = {},
): Config {
  try {
    return parseConfig({
      flags: { ...changes, ...flags },
      environment: process.env,
      file: flags['config'] as string | undefined,
      directory: process.cwd(),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = error.problems.map(({ where, message }) => `  ${where}: ${message}`);
    throw new CommandError(
      ExitCode.usage,
      `the configuration has ${lines.length === 1 ? 'a problem' : `${lines.length} problems`}:\n${lines.join('\n')}`,
    );
  }
}
