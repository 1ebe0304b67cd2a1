import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CallPath, parseRules, type RuleSet } from '@spanwarden/rules';
import { DEFAULT_LIMITS } from 'spanwarden/internal/base/limits';
import { createFixtureReader } from 'spanwarden/internal/call-paths';
import { readRuleFiles, shippedCatalog, shippedFixtures } from 'spanwarden/internal/catalog';

// Microseconds of CPU per span to answer the whole shipped catalogue about one call path: for call paths on which no
// rule matches, on which rules match, and from services without our instrumentation.
// Run: npx tsc -b && node test/dist/bench/rules.js

const ROUNDS = 5;
const SPANS_PER_ROUND = 300_000;

type OtlpSpan = { attributes: { key: string }[] };
type OtlpExport = {
  resourceSpans: { resource: { attributes: { key: string }[] }; scopeSpans: { spans: OtlpSpan[] }[] }[];
};

const { ruleSet, errors } = parseRules(readRuleFiles(shippedCatalog()));
if (ruleSet === undefined) throw new Error(`the catalogue has ${errors.length} errors`);
const readFixture = createFixtureReader({
  limits: DEFAULT_LIMITS,
  estate: { ownHosts: [], exposures: [] },
  coveredHosts: [],
});

const fixtures = ruleSet.rules.flatMap((rule) => rule.tests.map(({ fixture }) => fixture));
const recorded = fixtures.map((fixture) => readFileSync(join(shippedFixtures(), fixture)));
const paths = recorded.flatMap((json) => readFixture(json)).filter((path) => path.hops.length <= 16);
const isMatching = (path: CallPath): boolean => ruleSet.evaluate(path).matches.length > 0;
const isQuiet = (path: CallPath): boolean => !isMatching(path) && ruleSet.evaluate(path).unknowns.length === 0;
const stock = recorded.flatMap((json) => readFixture(withoutSecurityAttributes(json)));

console.log(`${ruleSet.rules.length} rules; median of ${ROUNDS} rounds of ${SPANS_PER_ROUND} spans`);
print('quiet', paths.filter(isQuiet));
print('matching', paths.filter(isMatching));
print(
  'stock exporters only',
  stock.filter((path) => path.hops.length <= 16),
);

function print(name: string, group: readonly CallPath[]): void {
  const spans = group.reduce((sum, path) => sum + path.hops.length, 0);
  const times = Array.from({ length: ROUNDS + 2 }, () => measure(ruleSet!, group)).slice(2);
  const median = times.toSorted((a, b) => a - b)[ROUNDS >> 1]!;
  const matches = group.reduce((sum, path) => sum + ruleSet!.evaluate(path).matches.length, 0);
  const unknowns = group.reduce((sum, path) => sum + ruleSet!.evaluate(path).unknowns.length, 0);
  const perPath = (count: number): string => (count / group.length).toFixed(1);
  console.log(
    `${name}: ${median.toFixed(2)} us a span; ${group.length} call paths of ${perPath(spans)} spans, ` +
      `${perPath(matches)} matches and ${perPath(unknowns)} unknowns each`,
  );
}

/** CPU microseconds a span. */
function measure(rules: RuleSet, group: readonly CallPath[]): number {
  const before = process.cpuUsage();
  let spans = 0;
  while (spans < SPANS_PER_ROUND) {
    for (const path of group) {
      rules.evaluate(path);
      spans += path.hops.length;
    }
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / spans;
}

/** What a stock OpenTelemetry SDK would have sent of the same calls. */
function withoutSecurityAttributes(json: Uint8Array): Uint8Array {
  const body = JSON.parse(Buffer.from(json).toString()) as OtlpExport;
  const isStock = ({ key }: { key: string }): boolean => !/^(apisec\.|user\.|session\.)/.test(key);
  for (const { resource, scopeSpans } of body.resourceSpans) {
    resource.attributes = resource.attributes.filter(isStock);
    for (const span of scopeSpans.flatMap(({ spans }) => spans)) span.attributes = span.attributes.filter(isStock);
  }
  return Buffer.from(JSON.stringify(body));
}
