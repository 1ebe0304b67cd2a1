import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { parseRules, type RuleError, type RuleSet } from '@spanwarden/rules';

/** Reads rule files from disk: the shipped catalogue and a folder of the user's own. The engine itself does no I/O. */

export interface RuleFile {
  /** Path relative to its catalogue root, with forward slashes: what a rule's id must equal. */
  readonly path: string;
  /** Where it lies on disk. */
  readonly file: string;
  readonly text: string;
}

/** Folder of the shipped catalogue. */
export function shippedCatalog(): string {
  return join(rulesPackage(), 'catalog');
}

/** Folder of the shipped fixtures that the catalogue's tests replay. */
export function shippedFixtures(): string {
  return join(rulesPackage(), 'fixtures');
}

function rulesPackage(): string {
  const entry = createRequire(import.meta.url).resolve('@spanwarden/rules/package.json');
  return dirname(entry);
}

/** Every YAML file below `folder`, sorted by path. @throws Error when the folder does not exist */
export function readRuleFiles(folder: string): RuleFile[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new Error(`rules folder ${folder} does not exist`);
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => {
      const file = join(folder, name);
      return { path: relative(folder, file).split(sep).join('/'), file, text: readFileSync(file, 'utf8') };
    });
}

/** Rules that cannot be used; the CLI prints every error and exits 2. */
export class RulesError extends Error {
  readonly errors: readonly RuleError[];
  constructor(errors: readonly RuleError[]) {
    super(
      errors.map(({ path, line, column, code, message }) => `${path}:${line}:${column}: ${code} ${message}`).join('\n'),
    );
    this.name = 'RulesError';
    this.errors = errors;
  }
}

export interface RuleSettings {
  /** Folder with the user's own rules, exceptions, lists and overrides. */
  readonly rulesDir: string | undefined;
  /** Contents of `$gateways`. */
  readonly gateways: readonly string[];
  /** Contents of `$approved_egress`. */
  readonly approvedEgress: readonly string[];
}

/** Lists that the operator configured; what is not configured stays as the catalogue ships it. */
export function listsOf({
  gateways,
  approvedEgress,
}: Pick<RuleSettings, 'gateways' | 'approvedEgress'>): Record<string, readonly string[]> {
  return {
    ...(gateways.length > 0 ? { gateways } : {}),
    ...(approvedEgress.length > 0 ? { approved_egress: approvedEgress } : {}),
  };
}

/** The shipped catalogue plus the user's folder, compiled. @throws RulesError */
export function loadRules(settings: RuleSettings): RuleSet {
  const files = readRuleFiles(shippedCatalog());
  if (settings.rulesDir !== undefined) files.push(...readRuleFiles(settings.rulesDir));
  const { ruleSet, errors } = parseRules(files, { lists: listsOf(settings) });
  if (ruleSet === undefined || errors.length > 0) throw new RulesError(errors);
  return ruleSet;
}
