import { stringify } from 'yaml';
import { DEFAULT_LIMITS } from '../base/limits.ts';
import type { Config } from '../config.ts';
import { print, printJson } from './output.ts';

/** Every option with its value, as a YAML file that would give the same configuration; secrets stay masked. */
export function printConfig(config: Config, json: boolean): void {
  const { limits, ...settings } = config;
  const flat = JSON.parse(
    JSON.stringify({ ...settings, otlpTokens: config.otlpTokens.map(() => '[secret]'), ...limits }),
  ) as Record<string, unknown>;
  if (json) printJson(flat);
  else {
    const isLimit = (name: string): boolean => name in DEFAULT_LIMITS;
    const part = (wanted: boolean): string =>
      stringify(Object.fromEntries(Object.entries(flat).filter(([name]) => isLimit(name) === wanted)));
    print(`${part(false)}\n# limits\n${part(true)}`.trimEnd());
  }
}
