import { describe, expect, it } from 'vitest';
import { defineRule, formatRuleError, parseRules, type RuleErrorCode } from '../index.ts';

const HEAD = 'id: access/sample\ntitle: Sample\nquestion: Is it one?\nlevel: low\n';

/** A rule with this `detection` and whatever else, as one text. */
function rule(detection: string, more = ''): string {
  return `${HEAD}${more}detection:\n${detection}`;
}

function errorsOf(text: string, path = 'access/sample.yaml'): readonly string[] {
  return parseRules([{ path, text }]).errors.map(formatRuleError);
}

const SELECTIONS = '  entry: {apisec.entry: true}\n  read: {db.system.name|exists: true}\n';

describe('a rule text with a mistake', () => {
  const cases: readonly (readonly [code: RuleErrorCode, what: string, text: string, error: string])[] = [
    ['E_YAML', 'broken flow', `${HEAD}tags: [a\n`, '6:1: E_YAML'],
    ['E_YAML', 'a key twice', `${HEAD}level: high\n`, '5:1: E_YAML Map keys must be unique'],
    ['E_YAML', 'a list as document', '- a\n', '1:1: E_YAML a document must be a map'],
    ['E_YAML', 'an alias without anchor', `${HEAD}tags: *none\n`, '5:7: E_YAML'],
    [
      'E_KEY',
      'a misspelt key',
      rule(`${SELECTIONS}  condition: entry\n`, 'tagz: [a]\n'),
      '5:1: E_KEY "tagz" is not a key here; did you mean "tags"?',
    ],
    [
      'E_MISSING',
      'no question',
      'id: access/sample\ntitle: A\nlevel: low\ndetection:\n  a: {service.name: x}\n  condition: a\n',
      '1:1: E_MISSING "question" is missing',
    ],
    ['E_MISSING', 'no detection', HEAD, '1:1: E_MISSING "detection" is missing'],
    ['E_KIND', 'nothing to recognise', 'title: A\n', '1:1: E_KIND a document needs detection.condition'],
    [
      'E_KIND',
      'two bodies',
      rule(`${SELECTIONS}  condition: entry\n`, 'baseline: {type: walk}\n'),
      '1:1: E_KIND one body sets the kind of a document, found baseline and path',
    ],
    [
      'E_KIND',
      'a correlation rule',
      `${HEAD}correlation: {type: temporal}\n`,
      '5:1: E_KIND this engine version evaluates path rules only, not correlation rules',
    ],
    [
      'E_KIND',
      'a baseline rule',
      `${HEAD}detection:\n  read: {span.kind: server}\nbaseline: {type: drift}\n`,
      '7:1: E_KIND this engine version evaluates path rules only, not baseline rules',
    ],
    [
      'E_ID',
      'an id without family',
      `id: sample\n${HEAD.slice(18)}detection:\n  a: {service.name: x}\n  condition: a\n`,
      '1:5: E_ID "sample" is not <family>/<slug>',
    ],
    [
      'E_TYPE',
      'an unknown level',
      'id: access/sample\ntitle: A\nquestion: B?\nlevel: hihg\ndetection:\n  a: {service.name: x}\n  condition: a\n',
      '4:8: E_TYPE "level" cannot be "hihg"; did you mean "high"?',
    ],
    [
      'E_TYPE',
      'a number where text is wanted',
      rule('  a: {service.name: {x: 1}}\n  condition: a\n'),
      '6:21: E_TYPE a value must be a text',
    ],
    [
      'E_TYPE',
      'exists with a text',
      rule('  a: {user.hash|exists: yes}\n  condition: a\n'),
      '6:25: E_TYPE "exists" takes true or false',
    ],
    [
      'E_TYPE',
      'gt with a text',
      rule('  a: {span.duration_ms|gt: long}\n  condition: a\n'),
      '6:28: E_TYPE "gt" takes a number',
    ],
    [
      'E_TYPE',
      'a broken address block',
      rule('  a: {client.address|cidr: 10.0.0.0/33}\n  condition: a\n'),
      '6:28: E_TYPE "10.0.0.0/33" is not an address block',
    ],
    [
      'E_TYPE',
      'a duration without unit',
      rule(`${SELECTIONS}  condition: entry\n`, 'dedup: 24\n'),
      '5:8: E_TYPE "dedup" must be a duration',
    ],
    [
      'E_FIELD',
      'a field that nothing sets',
      rule('  a: {apisec.entri: true}\n  condition: a\n'),
      '6:7: E_FIELD nothing sets "apisec.entri"; did you mean "apisec.entry"?',
    ],
    [
      'E_FIELD',
      'an unknown modifier',
      rule('  a: {service.name|startwith: x}\n  condition: a\n'),
      '6:7: E_FIELD "startwith" is not a modifier; did you mean "startswith"?',
    ],
    [
      'E_FIELD',
      'modifiers that clash',
      rule('  a: {service.name|gt|ci: 3}\n  condition: a\n'),
      '6:7: E_FIELD "ci" has no meaning with "gt"',
    ],
    [
      'E_FIELD',
      'a query in an explanation',
      rule(`${SELECTIONS}  condition: entry\n`, 'explain: "saw {entry.url.query}"\n'),
      '5:16: E_FIELD "url.query" is never printed',
    ],
    [
      'E_NAME',
      'a name that is no selection',
      rule(`${SELECTIONS}  condition: entry >> raed\n`),
      '8:23: E_NAME "raed" is not a selection; did you mean "read"?',
    ],
    [
      'E_NAME',
      'a selection named like a word of the language',
      rule('  not: {service.name: x}\n  condition: not\n'),
      '6:3: E_NAME "not" cannot name a selection',
    ],
    [
      'E_NAME',
      'an exception for no rule',
      'exception: {rule: access/nothing, match: {service.name: x}, reason: why, expires: 2027-01-01}\n',
      '1:19: E_NAME there is no rule "access/nothing"',
    ],
    [
      'E_CONDITION',
      'a missing name',
      rule(`${SELECTIONS}  condition: entry >>\n`),
      '8:22: E_CONDITION a name is missing at the end',
    ],
    [
      'E_CONDITION',
      'a stray character',
      rule(`${SELECTIONS}  condition: entry & read\n`),
      '8:20: E_CONDITION "&" has no meaning',
    ],
    [
      'E_CONDITION',
      'a field instead of a name',
      rule(`${SELECTIONS}  condition: entry >> read.user.hash\n`),
      '8:23: E_CONDITION "read.user.hash" is a field',
    ],
    [
      'E_CONDITION',
      'an open parenthesis',
      rule(`${SELECTIONS}  condition: (entry >> read\n`),
      '8:28: E_CONDITION expected ")", found the end',
    ],
    [
      'E_CONDITION',
      'a comparison of spans',
      rule(`${SELECTIONS}  condition: entry >= read\n`),
      '8:20: E_CONDITION expected "and", "or" or the end, found ">="',
    ],
    [
      'E_NEGATION',
      'a negated second relation',
      rule(`${SELECTIONS}  condition: entry >> read !>> entry\n`, 'requires: complete\n'),
      '9:28: E_NEGATION only the first relation',
    ],
    [
      'E_NEGATION',
      'a negative name used twice',
      rule(`${SELECTIONS}  condition: entry !>> read and entry\n`, 'requires: complete\n'),
      '9:14: E_NEGATION "entry" stands left of a negated relation',
    ],
    [
      'E_NEGATION',
      'nothing to find',
      rule(`${SELECTIONS}  condition: entry or not read\n`, 'requires: complete\n'),
      '9:14: E_NEGATION each "or" branch must find something',
    ],
    [
      'E_WHERE',
      'a where clause of three words',
      rule(`${SELECTIONS}  where: entry.user.hash is read.user.hash\n  condition: entry >> read\n`),
      '8:26: E_WHERE "is" is not a comparison',
    ],
    [
      'E_WHERE',
      'two literals',
      rule(`${SELECTIONS}  where: 1 == 2\n  condition: entry >> read\n`),
      '8:10: E_WHERE one side must be a field',
    ],
    [
      'E_WHERE',
      'each that is not declared',
      rule(`${SELECTIONS}  where: entry.each == read.user.hash\n  condition: entry >> read\n`),
      '8:10: E_WHERE "entry.each" needs "each: entry.<field>"',
    ],
    [
      'E_WHERE',
      'a clause on a name that is never bound',
      rule(`${SELECTIONS}  where: entry.user.hash == read.user.hash\n  condition: entry\n`),
      '8:10: E_WHERE the clause can never apply: the condition never binds "read"',
    ],
    [
      'E_WHERE',
      'a clause on names that are never bound together',
      rule(
        `${SELECTIONS}  where: entry.user.hash == read.user.hash\n  condition: span and not entry and not read\n  span: {span.kind: server}\n`,
        'requires: complete\n',
      ),
      '9:10: E_WHERE the clause can never apply: entry and read never stand for spans together',
    ],
    [
      'E_GATE',
      'absence without requires',
      rule(`${SELECTIONS}  condition: entry !>> read\n`),
      '1:1: E_GATE absence counts here',
    ],
    [
      'E_GATE',
      'a count from above without requires',
      rule(`${SELECTIONS}  condition: entry and count(read) < 2\n`),
      '1:1: E_GATE absence counts here',
    ],
    [
      'E_GATE',
      'requires any without a reason',
      rule(`${SELECTIONS}  condition: entry !>> read\n`, 'requires: any\n'),
      '5:11: E_GATE "requires: any" where absence counts needs a "description"',
    ],
    [
      'E_REGEX',
      'a look-ahead',
      rule("  a: {url.path|re: '(?=x)'}\n  condition: a\n"),
      '6:20: E_REGEX error parsing regexp',
    ],
    [
      'E_LIST',
      'a list that does not exist',
      `${rule('  a: {service.name: $gatewys}\n  condition: a\n')}---\nlist: gateways\nitems: [a]\n`,
      '6:21: E_LIST there is no list "gatewys"; did you mean "gateways"?',
    ],
    [
      'E_LIST',
      'a list twice',
      'list: a\nitems: [x]\n---\nlist: a\nitems: [y]\n',
      '4:1: E_LIST list "a" exists already',
    ],
    ['E_LIST', 'a list of maps', 'list: a\nitems: [{x: 1}]\n', '2:9: E_LIST an item must be a text'],
    [
      'E_LIMIT',
      'a long regex',
      rule(`  a: {url.path|re: '${'a'.repeat(257)}'}\n  condition: a\n`),
      '6:20: E_LIMIT a regex of 257 characters, at most 256',
    ],
    [
      'E_LIMIT',
      'too many terms',
      rule(`${SELECTIONS}  condition: ${Array(33).fill('entry').join(' and ')}\n`),
      '8:14: E_LIMIT 33 terms in one condition, at most 32',
    ],
    [
      'E_LIMIT',
      'too many selections',
      rule(`${Array.from({ length: 17 }, (_, i) => `  s${i}: {service.name: x}\n`).join('')}  condition: s1\n`),
      '6:3: E_LIMIT 17 selections, at most 16',
    ],
    ['E_LIMIT', 'a file too long', `# ${'x'.repeat(70_000)}\n`, '1:1: E_LIMIT the file is longer than 65536 bytes'],
    [
      'E_LIMIT',
      'an alias bomb',
      `list: a\nitems:\n  - &b [x]\n${'  - *b\n'.repeat(101)}`,
      '104:5: E_LIMIT more than 100 aliases are followed',
    ],
    [
      'E_TEST',
      'traffic for a path rule',
      rule(`${SELECTIONS}  condition: entry\n`, 'tests: [{name: a, match: true, traffic: [a x1]}]\n'),
      '5:9: E_TEST "traffic" replays days for correlation and baseline rules',
    ],
    [
      'E_TEST',
      'a near miss that matches',
      rule(`${SELECTIONS}  condition: entry\n`, 'tests: [{name: a, match: true, near_miss: true}]\n'),
      '5:26: E_TEST a near miss does not match',
    ],
    [
      'E_TEST',
      'a test without verdict',
      rule(`${SELECTIONS}  condition: entry\n`, 'tests: [{name: a}]\n'),
      '5:9: E_TEST a test says "match: true"',
    ],
    [
      'E_ENGINE',
      'a newer engine',
      rule(`${SELECTIONS}  condition: entry\n`, "required_engine_version: '>=2'\n"),
      '5:26: E_ENGINE needs engine version >=2, this one is 1',
    ],
  ];

  it.each(cases)('%s for %s, with its place', (code, _, text, error) => {
    const matching = errorsOf(text).filter((line) => line.includes(error));
    expect({ code, found: matching.length, all: errorsOf(text) }).toMatchObject({ code, found: 1 });
  });

  it('covers every code', () => {
    expect(new Set(cases.map(([code]) => code)).size).toBe(17);
  });

  it('reports a name inside a folded condition where it stands', () => {
    const text = rule(`${SELECTIONS}  condition: >-\n    entry\n    and (read\n    or internl)\n`);
    expect(errorsOf(text)).toEqual(['access/sample.yaml:11:8: E_NAME "internl" is not a selection']);
  });

  it('reports a name inside a quoted condition where it stands', () => {
    expect(errorsOf(rule(`${SELECTIONS}  condition: "entry >> x"\n`))).toEqual([
      'access/sample.yaml:8:24: E_NAME "x" is not a selection',
    ]);
  });

  it('lists all mistakes of all texts, ordered by path and place', () => {
    const { ruleSet, errors } = parseRules([
      { path: 'b/b.yaml', text: 'title: B\n' },
      { path: 'access/sample.yaml', text: rule(`${SELECTIONS}  condition: a >> b\n`, 'colour: red\n') },
    ]);
    expect(ruleSet).toBeUndefined();
    expect(errors.map(({ path, line, code }) => `${path} ${line} ${code}`)).toEqual([
      'access/sample.yaml 5 E_KEY',
      'access/sample.yaml 9 E_NAME',
      'access/sample.yaml 9 E_NAME',
      'b/b.yaml 1 E_KIND',
    ]);
  });
});

describe('ids', () => {
  const text = rule(`${SELECTIONS}  condition: entry\n`);

  it('must equal the path of the file', () => {
    expect(errorsOf(text, 'access/other.yaml')).toEqual([
      'access/other.yaml:1:5: E_ID "access/sample" must be the file\'s path below the rules folder, "access/other"',
    ]);
  });

  it('must not repeat', () => {
    const source = { path: 'access/sample.yaml', text };
    expect(parseRules([source, source]).errors.map(({ message }) => message)).toEqual([
      '"access/sample" exists already in access/sample.yaml',
    ]);
  });
});

describe('several documents', () => {
  it('may stand in one text', () => {
    const text = `# lists first\nlist: edge\nitems: [gw]\n---\n${rule('  a: {service.name: $edge}\n  condition: a\n')}---\nexception: {rule: access/sample, match: {service.name: x}, reason: y, expires: 2027-01-01}\n`;
    const { ruleSet, errors } = parseRules([{ path: 'access/sample.yaml', text }]);
    expect(errors).toEqual([]);
    expect(ruleSet?.rules.map(({ id }) => id)).toEqual(['access/sample']);
  });

  it('let a default list yield to another one, whatever comes first', () => {
    const shipped = { path: 'lists/a.yaml', text: 'list: a\ndefault: true\nitems: [x]\n' };
    const own = { path: 'own.yaml', text: 'list: a\nitems: [y]\n' };
    const sample = { path: 'access/sample.yaml', text: rule('  s: {service.name: $a}\n  condition: s\n') };
    const hash = (...sources: (typeof own)[]) => parseRules([sample, ...sources]).ruleSet?.rules[0]?.hash;
    expect(hash(shipped, own)).toBe(hash(own));
    expect(hash(own, shipped)).toBe(hash(own));
    expect(hash(shipped)).not.toBe(hash(own));
  });

  it('take lists of the settings first', () => {
    const sample = { path: 'access/sample.yaml', text: rule('  s: {service.name: $a}\n  condition: s\n') };
    const list = { path: 'a.yaml', text: 'list: a\nitems: [x]\n' };
    const fromSettings = parseRules([sample, list], { lists: { a: ['z'] } });
    const alone = parseRules([sample], { lists: { a: ['z'] } });
    expect(fromSettings.ruleSet?.rules[0]?.hash).toBe(alone.ruleSet?.rules[0]?.hash);
  });
});

describe('a rule defined in code', () => {
  it('is the same rule as its YAML text', () => {
    const source = defineRule({
      id: 'access/sample',
      title: 'Sample',
      question: 'Is it one?',
      level: 'low',
      detection: {
        entry: { 'apisec.entry': true },
        read: { 'db.system.name|exists': true },
        condition: 'entry >> read',
      },
    });
    const written = { path: 'access/sample.yaml', text: rule(`${SELECTIONS}  condition: entry >> read\n`) };
    expect(parseRules([source]).ruleSet?.rules).toEqual(parseRules([written]).ruleSet?.rules);
  });

  it('has its mistakes reported the same way', () => {
    const source = defineRule({
      id: 'access/sample',
      title: 'Sample',
      question: 'Is it one?',
      level: 'low',
      detection: { entry: { 'apisec.entry': true }, condition: 'entri' },
    });
    expect(parseRules([source]).errors.map(({ code, line, column }) => [code, line, column])).toEqual([
      ['E_NAME', 10, 19],
    ]);
  });
});
