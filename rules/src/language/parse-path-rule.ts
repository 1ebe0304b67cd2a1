import type { Dedup, PathRule, Suppress } from '../model/ast.ts';
import { ENGINE_VERSION } from '../model/engine-version.ts';
import type { Level, Maturity } from '../model/finding.ts';
import type { ListTable } from './list-table.ts';
import { parseDetection } from './parse-detection.ts';
import { parseException } from './parse-exception.ts';
import { parseTemplate } from './parse-template.ts';
import { parseTests } from './parse-tests.ts';
import { MapReader } from './reader.ts';
import type { Problems } from './rule-error.ts';
import type { MapNode, Node } from './yaml-node.ts';

const LEVELS: readonly Level[] = ['info', 'low', 'medium', 'high', 'critical'];
const MATURITIES: readonly Maturity[] = ['experimental', 'test', 'stable', 'deprecated'];
const DEFAULT_KEY = ['apisec.principal.id', 'apisec.endpoint'];
const DAY_MS = 86_400_000;

const KEYS = [
  'id',
  'title',
  'question',
  'level',
  'status',
  'version',
  'required_engine_version',
  'enabled',
  'description',
  'references',
  'tags',
  'falsepositives',
  'blindspots',
  'respond',
  'explain',
  'requires',
  'dedup',
  'suppress',
  'exceptions',
  'detection',
  'tests',
];

/** The document of one path rule; undefined after any error in it. */
export function parsePathRule(map: MapNode, lists: ListTable, problems: Problems): PathRule | undefined {
  const before = problems.count;
  const reader = new MapReader(map, KEYS, problems);
  checkEngine(reader);
  const id = parseId(reader);
  const title = reader.requiredText('title');
  const question = reader.requiredText('question');
  reader.required('level');
  const level = reader.oneOf('level', LEVELS);
  const detectionMap = reader.asMap(reader.required('detection'), '"detection"');
  const detection = detectionMap === undefined ? undefined : parseDetection(detectionMap, lists, problems);
  const description = reader.text('description');
  const requires = reader.oneOf('requires', ['complete', 'any'] as const);
  if (detection?.asksAbsence === true) {
    checkGate(reader, requires, description);
  }
  const names = detectionMap?.entries.map((entry) => entry.key) ?? [];
  const explain = reader.asText(reader.node('explain'), '"explain"');
  const rest = {
    status: reader.oneOf('status', MATURITIES) ?? 'experimental',
    version: reader.positiveInteger('version') ?? 1,
    enabled: reader.boolean('enabled') ?? true,
    description,
    references: reader.texts('references'),
    tags: reader.texts('tags'),
    falsepositives: reader.texts('falsepositives'),
    blindspots: reader.texts('blindspots'),
    respond: reader.texts('respond'),
    explain: explain === undefined ? undefined : parseTemplate(explain, names, problems),
    requires: requires ?? 'any',
    dedup: parseDedup(reader, problems),
    suppress: parseSuppress(reader, problems),
    exceptions: reader
      .asList(reader.node('exceptions'), '"exceptions"')
      .flatMap((item) => parseOwnException(item, id ?? '', lists, problems)),
    tests: parseTests(reader.node('tests'), id ?? '', problems),
  } as const;
  if (
    problems.count > before ||
    id === undefined ||
    title === undefined ||
    question === undefined ||
    level === undefined ||
    detection === undefined
  ) {
    return undefined;
  }
  const { selections, each, where, condition } = detection;
  return { id, title, question, level, ...rest, selections, each, where, condition };
}

function parseId(reader: MapReader): string | undefined {
  const id = reader.requiredText('id');
  if (id !== undefined && !/^[a-z0-9]+(-[a-z0-9]+)*\/[a-z0-9]+(-[a-z0-9]+)*$/.test(id)) {
    reader.fail(reader.node('id')!.at, 'E_ID', `"${id}" is not <family>/<slug> in lower-case words joined by "-"`);
  }
  return id;
}

function checkEngine(reader: MapReader): void {
  const node = reader.node('required_engine_version');
  if (node === undefined) {
    return;
  }
  const match = /^\s*(>=|==|>)?\s*(\d+)\s*$/.exec(node.kind === 'scalar' ? String(node.value) : '');
  if (match === null) {
    reader.fail(node.at, 'E_ENGINE', 'an engine version is asked for as ">=1"');
    return;
  }
  const asked = Number(match[2]);
  const isMet =
    match[1] === '>' ? ENGINE_VERSION > asked : match[1] === '>=' ? ENGINE_VERSION >= asked : ENGINE_VERSION === asked;
  if (!isMet) {
    reader.fail(node.at, 'E_ENGINE', `needs engine version ${match[1] ?? ''}${asked}, this one is ${ENGINE_VERSION}`);
  }
}

function checkGate(reader: MapReader, requires: 'complete' | 'any' | undefined, description: string | undefined): void {
  const place = reader.node('requires')?.at ?? reader.map.at;
  if (requires === undefined) {
    reader.fail(
      place,
      'E_GATE',
      'absence counts here (a negative name, or a count without ">" or ">="): say "requires: complete"',
    );
  } else if (requires === 'any' && description === undefined) {
    reader.fail(place, 'E_GATE', '"requires: any" where absence counts needs a "description" that says why');
  }
}

function parseDedup(reader: MapReader, problems: Problems): Dedup {
  const node = reader.node('dedup');
  if (node === undefined) {
    return { key: DEFAULT_KEY, windowMs: DAY_MS };
  }
  if (node.kind !== 'map') {
    return { key: DEFAULT_KEY, windowMs: reader.durationMsOf(node, '"dedup"') ?? DAY_MS };
  }
  const inner = new MapReader(node, ['key', 'window'], problems);
  const key = inner.texts('key');
  return { key: key.length > 0 ? key : DEFAULT_KEY, windowMs: inner.durationMs('window') ?? DAY_MS };
}

function parseSuppress(reader: MapReader, problems: Problems): Suppress | undefined {
  const map = reader.asMap(reader.node('suppress'), '"suppress"');
  if (map === undefined) {
    return undefined;
  }
  const inner = new MapReader(map, ['by', 'same', 'window', 'after_deploy'], problems);
  const afterDeployMs = inner.durationMs('after_deploy');
  if (afterDeployMs !== undefined) {
    return { afterDeployMs };
  }
  inner.required('by');
  inner.required('window');
  return { by: inner.texts('by'), same: inner.texts('same'), windowMs: inner.durationMs('window') ?? 0 };
}

function parseOwnException(node: Node, id: string, lists: ListTable, problems: Problems): PathRule['exceptions'] {
  if (node.kind !== 'map') {
    problems.add(node.at, 'E_TYPE', 'an exception must be a map');
    return [];
  }
  const parsed = parseException(node, id, lists, problems);
  return parsed === undefined ? [] : [parsed.exception];
}
