import type { RuleTest } from '../model/ast.ts';
import { MapReader } from './reader.ts';
import type { Problems } from './rule-error.ts';
import type { MapNode, Node } from './yaml-node.ts';

const KEYS = ['name', 'match', 'near_miss', 'fixture', 'traffic'];

/** The inline tests of a path rule; fixture names are completed to paths below the fixtures folder. */
export function parseTests(node: Node | undefined, ruleId: string, problems: Problems): readonly RuleTest[] {
  if (node === undefined) {
    return [];
  }
  if (node.kind !== 'list') {
    problems.add(node.at, 'E_TYPE', '"tests" must be a list');
    return [];
  }
  const names = new Set<string>();
  return node.items.flatMap((item) => {
    if (item.kind !== 'map') {
      problems.add(item.at, 'E_TYPE', 'a test must be a map');
      return [];
    }
    const test = parseTest(item, ruleId, problems);
    if (test !== undefined && names.has(test.name)) {
      problems.add(item.at, 'E_TEST', `two tests are named "${test.name}"`);
    }
    names.add(test?.name ?? '');
    return test ?? [];
  });
}

function parseTest(map: MapNode, ruleId: string, problems: Problems): RuleTest | undefined {
  const before = problems.count;
  const reader = new MapReader(map, KEYS, problems);
  const name = reader.requiredText('name');
  const nearMiss = reader.boolean('near_miss') ?? false;
  const fixture = reader.text('fixture');
  if (reader.node('traffic') !== undefined) {
    reader.fail(
      map.at,
      'E_TEST',
      '"traffic" replays days for correlation and baseline rules; a path rule takes a "fixture"',
    );
  }
  const match = parseVerdict(reader, nearMiss);
  if (problems.count > before || name === undefined || match === undefined) {
    return undefined;
  }
  return { name, match, nearMiss, fixture: toFixturePath(fixture ?? slug(name), ruleId) };
}

function parseVerdict(reader: MapReader, nearMiss: boolean): RuleTest['match'] | undefined {
  const node = reader.node('match');
  if (node === undefined) {
    if (!nearMiss) {
      reader.fail(reader.map.at, 'E_TEST', 'a test says "match: true", "false" or "unknown", or "near_miss: true"');
      return undefined;
    }
    return false;
  }
  const value = node.kind === 'scalar' ? node.value : undefined;
  if (typeof value !== 'boolean' && value !== 'unknown') {
    reader.fail(node.at, 'E_TEST', '"match" must be true, false or unknown');
    return undefined;
  }
  if (nearMiss && value !== false) {
    reader.fail(node.at, 'E_TEST', `a near miss does not match, so "match: ${value}" contradicts it`);
    return undefined;
  }
  return value;
}

/** `no credential and 200` -> `no-credential-and-200`. */
function slug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

const SUFFIX = '.otlp.json';

function toFixturePath(name: string, ruleId: string): string {
  const path = name.includes('/') ? name : `${ruleId}/${name}`;
  return path.endsWith(SUFFIX) ? path : path + SUFFIX;
}
