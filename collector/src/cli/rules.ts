import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type CallPath, formatRuleError, parseRules, type RuleSet, runTests, type TestResult } from '@spanwarden/rules';
import { createFixtureReader } from '../call-paths.ts';
import { listsOf, type RuleFile, RulesError, readRuleFiles, shippedCatalog, shippedFixtures } from '../catalog.ts';
import { type Config, toEstate } from '../config.ts';
import { CommandError, ExitCode } from './exit-code.ts';
import { print, printJson } from './output.ts';

/** Rule files in, verdicts on the files themselves out: are they well formed, and do their own tests hold? */

export function lintRules(config: Config, folder: string | undefined, json: boolean): number {
  const files = filesOf(folder);
  const { ruleSet, errors } = parse(config, files);
  if (json) printJson(errors);
  else if (errors.length > 0) print(errors.map(formatRuleError).join('\n'));
  else print(`${ruleSet?.rules.length ?? 0} rules in ${files.length} files, no errors`);
  return errors.length > 0 ? ExitCode.usage : ExitCode.clean;
}

export function testRules(config: Config, folder: string | undefined, json: boolean): number {
  const { ruleSet, errors } = parse(config, filesOf(folder));
  if (ruleSet === undefined) throw new RulesError(errors);
  const results = runRuleTests(config, ruleSet, fixtureFolders(folder));
  const failed = results.filter(({ passed }) => !passed);
  if (json) printJson(results);
  else {
    for (const { rule, name, expected, actual, error } of failed) {
      print(`FAILED ${rule}: ${name}: expected ${word(expected)}, ${error ?? `got ${word(actual)}`}`);
    }
    print(`${results.length - failed.length} of ${results.length} tests of ${ruleSet.rules.length} rules passed`);
  }
  return failed.length > 0 ? ExitCode.findings : ExitCode.clean;
}

/** The inline tests of every rule, over the same decoding, assembly and enrichment as in the server. */
export function runRuleTests(config: Config, ruleSet: RuleSet, folders: readonly string[]): readonly TestResult[] {
  const readFixture = createFixtureReader({
    limits: config.limits,
    estate: toEstate(config),
    coveredHosts: config.coveredHosts,
  });
  const known = new Map<string, readonly CallPath[]>();
  return runTests(ruleSet, (fixture) => {
    const paths = known.get(fixture) ?? readFixture(readFileSync(locate(fixture, folders)));
    known.set(fixture, paths);
    return paths;
  });
}

function word(verdict: boolean | 'unknown' | undefined): string {
  return verdict === true ? 'a match' : verdict === false ? 'no match' : 'unknown';
}

function filesOf(folder: string | undefined): RuleFile[] {
  try {
    return readRuleFiles(folder ?? shippedCatalog());
  } catch (error) {
    throw new CommandError(ExitCode.usage, error instanceof Error ? error.message : String(error));
  }
}

function parse(config: Config, files: readonly RuleFile[]): ReturnType<typeof parseRules> {
  return parseRules(files, { lists: listsOf(config) });
}

/** Beside the rules or in them, then the shipped ones. */
const fixtureFolders = (folder: string | undefined): string[] =>
  folder === undefined
    ? [shippedFixtures()]
    : [join(folder, 'fixtures'), join(dirname(folder), 'fixtures'), shippedFixtures()];

function locate(fixture: string, folders: readonly string[]): string {
  const found = folders.map((folder) => join(folder, fixture)).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`fixture ${fixture} is in none of ${folders.join(', ')}`);
  return found;
}
