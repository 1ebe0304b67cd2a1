import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

/**
 * What each folder may import: folders of ours by prefix, and packages. A folder that is not in the table fails, and so
 * does a table row whose folder is gone, so the table cannot rot.
 */
const STAGES = ['receive', 'decode', 'log', 'assemble', 'enrich', 'detect', 'store', 'serve'];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'rules/src': ['rules/src/*'],
  'rules/src/model': ['rules/src/model'],
  'rules/src/language': ['rules/src/model', 'rules/src/language', 'rules/src/compile'],
  'rules/src/compile': ['rules/src/model', 'rules/src/compile', 'rules/src/language'],
  'instrumentation/src': ['instrumentation/src/*'],
  'collector/src': ['collector/src/*', '@spanwarden/rules'],
  'collector/src/base': ['collector/src/base', '@spanwarden/rules'],
  'collector/src/threads': ['collector/src/*', '@spanwarden/rules'],
  'collector/src/cli': ['collector/src/*', '@spanwarden/rules', '@spanwarden/demo'],
  'collector/demo/src': ['collector/demo/src/*', '@spanwarden/instrumentation'],
  ...Object.fromEntries(
    STAGES.map((stage) => [
      `collector/src/${stage}`,
      [
        'collector/src/base',
        `collector/src/${stage}/*`,
        '@spanwarden/rules',
        ...(stage === 'decode' || stage === 'enrich' ? ['@spanwarden/instrumentation'] : []),
      ],
    ]),
  ),
};
const PURE = 'rules/src';
const ONLY_IN_LANGUAGE = ['yaml'];
const VAGUE = /^(utils?|helpers?|common|shared|misc|manager)(\.|$)/;
const CLOCK = /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bMath\.random\b/;
const LINE_REFERENCE = /\b[\w-]+\.tsx?:\d+\b/;
const LONG_LINES = 400;

interface Source {
  /** Path from the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

const root = resolve(import.meta.dirname, '..');

function sourcesUnder(folder: string): Source[] {
  const absolute = join(root, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { recursive: true, encoding: 'utf8' })
    .filter(
      (name) => name.endsWith('.ts') && !name.split(sep).some((part) => part === 'node_modules' || part === 'dist'),
    )
    .filter((name) => statSync(join(absolute, name)).isFile())
    .map((name) => ({
      path: relative(root, join(absolute, name)).split(sep).join('/'),
      text: readFileSync(join(absolute, name), 'utf8'),
    }));
}

/** Every way a module names another: import, export from, bare import, import(), import type. Comments do not count. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const found = [
    ...code.matchAll(/^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]/gm),
    ...code.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm),
    ...code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g),
  ];
  return found.map((match) => match[1]!);
}

function folderOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .filter((folder) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0];
}

function isAllowed(target: string, allowed: readonly string[]): boolean {
  return allowed.some((entry) =>
    entry.endsWith('/*') ? target === entry.slice(0, -2) || target.startsWith(entry.slice(0, -1)) : target === entry,
  );
}

/** What is wrong with one import, undefined when nothing is. */
function importProblem(path: string, folder: string, name: string): string | undefined {
  const allowed = MAY_IMPORT[folder]!;
  if (name.startsWith('.')) {
    const target = dirname(join(dirname(path), name).split(sep).join('/'));
    const isOwn = target === folder || target.startsWith(`${folder}/`);
    return isOwn || isAllowed(target, allowed) ? undefined : `${folder} may not see ${target} (${path})`;
  }
  if (name.startsWith('@spanwarden/') || name === 'spanwarden') {
    const target = name.split('/').slice(0, 2).join('/');
    return isAllowed(target, allowed) ? undefined : `${folder} may not see ${target} (${path})`;
  }
  if (!path.startsWith(`${PURE}/`)) return undefined;
  if (name.startsWith('node:')) return `${PURE} is pure and may not see ${name} (${path})`;
  const isLanguage = path.startsWith('rules/src/language/');
  return ONLY_IN_LANGUAGE.includes(name) && !isLanguage
    ? `only rules/src/language may see ${name} (${path})`
    : undefined;
}

/** Sentences about what is wrong with one file; none when it keeps the rules. */
function problemsOf({ path, text }: Source): string[] {
  const folder = folderOf(path);
  if (folder === undefined) return [`${path}: its folder is not in the architecture table`];
  const isTest = /\.(test|bench)\.ts$/.test(path) || path.includes('/testing/');
  const problems = isTest ? [] : importsOf(text).flatMap((name) => importProblem(path, folder, name) ?? []);
  const file = path.slice(path.lastIndexOf('/') + 1);
  if (path.split('/').some((part) => VAGUE.test(part))) problems.push(`${path}: a vague name says nothing`);
  if (file !== file.toLowerCase()) problems.push(`${path}: file names are kebab-case`);
  if (LINE_REFERENCE.test(text.replace(/['"`].*?['"`]/g, ''))) {
    problems.push(`${path}: refers to a line number, which will move`);
  }
  if (path.startsWith(`${PURE}/`) && !isTest && CLOCK.test(text)) {
    problems.push(`${path}: rules see event time only, no clock and no randomness`);
  }
  return problems;
}

const all = ['rules/src', 'instrumentation/src', 'collector/src', 'collector/demo/src'].flatMap(sourcesUnder);

describe('the architecture', () => {
  it('holds for every source file', () => {
    expect(all.length).toBeGreaterThan(30);
    expect(all.flatMap(problemsOf)).toEqual([]);
  });

  it('names only folders that exist', () => {
    expect(Object.keys(MAY_IMPORT).filter((folder) => !existsSync(join(root, folder)))).toEqual([]);
  });

  it('keeps files short enough to read', () => {
    const long = all.filter(({ text, path }) => !path.endsWith('.test.ts') && text.split('\n').length > LONG_LINES);
    expect(long.map(({ path, text }) => `${path}: ${text.split('\n').length} lines`)).toEqual([]);
  });
});

describe('each check of the architecture finds its sample', () => {
  const samples: readonly (readonly [string, Source, string])[] = [
    [
      'import from',
      { path: 'collector/src/assemble/a.ts', text: "import { x } from '../decode/y.ts';" },
      'may not see collector/src/decode',
    ],
    [
      'import over several lines',
      { path: 'collector/src/assemble/a.ts', text: "import {\n  x,\n} from '../decode/y.ts';" },
      'may not see collector/src/decode',
    ],
    [
      'export from',
      { path: 'collector/src/assemble/a.ts', text: "export { x } from '../store/y.ts';" },
      'may not see collector/src/store',
    ],
    [
      'bare import',
      { path: 'collector/src/enrich/a.ts', text: "import '../log/y.ts';" },
      'may not see collector/src/log',
    ],
    [
      'dynamic import',
      { path: 'collector/src/enrich/a.ts', text: "const x = await import('../log/y.ts');" },
      'may not see collector/src/log',
    ],
    [
      'import type',
      { path: 'collector/src/log/a.ts', text: "import type { X } from '../assemble/y.ts';" },
      'may not see collector/src/assemble',
    ],
    [
      'a package of ours',
      { path: 'instrumentation/src/a.ts', text: "import { x } from '@spanwarden/rules';" },
      'may not see @spanwarden/rules',
    ],
    ['node in the rules', { path: 'rules/src/compile/a.ts', text: "import { x } from 'node:fs';" }, 'is pure'],
    [
      'yaml outside the language',
      { path: 'rules/src/compile/a.ts', text: "import { parse } from 'yaml';" },
      'only rules/src/language',
    ],
    ['a clock in the rules', { path: 'rules/src/compile/a.ts', text: 'const now = Date.now();' }, 'no clock'],
    ['a vague file name', { path: 'collector/src/base/utils.ts', text: '' }, 'vague name'],
    ['an upper-case file name', { path: 'collector/src/base/Batch.ts', text: '' }, 'kebab-case'],
    ['a reference to a line', { path: 'collector/src/base/a.ts', text: '// see batch.ts:120' }, 'line number'],
    ['an unknown folder', { path: 'collector/other/a.ts', text: '' }, 'not in the architecture table'],
  ];
  it.each(samples)('%s', (_, source, problem) => {
    expect(problemsOf(source).join('\n')).toContain(problem);
  });

  it('says nothing about imports that the table allows', () => {
    const text =
      "import { x } from '../base/batch.ts';\nimport { Field } from '@spanwarden/rules';\nimport { y } from './tree.ts';";
    expect(problemsOf({ path: 'collector/src/assemble/a.ts', text })).toEqual([]);
  });
});
