import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Category } from './findings.ts';
import { classifyText } from './scrub-text.ts';

const shared = fileURLToPath(new URL('../../../../shared/data/', import.meta.url));
const piiCases = `${shared}pii_cases/presidio_cases_give.jsonl`;
const gitleaks = `${shared}gitleaks/gitleaks.toml`;

/** Recognisers of the labelled texts that our categories answer to. */
const CATEGORY_OF: Readonly<Record<string, Category>> = {
  email_recognizer: 'email',
  credit_card_recognizer: 'payment_card',
  us_ssn_recognizer: 'us_ssn',
  phone_recognizer: 'phone',
  ip_recognizer: 'ip_address',
};

/** Addresses that name no person and stay on purpose: private, loopback, link-local, documentation, unspecified. */
const NO_PERSON =
  /192\.168\.|\b10\.0\.|127\.0\.|169\.254\.|172\.16\.|0\.0\.0\.0|255\.255|2001:db8|fe80|(?:^|\s)::(?:1\b|$)/;

interface LabelledText {
  readonly recognizer: string;
  readonly text: string;
  readonly expected: number;
}

describe.skipIf(!existsSync(piiCases))('labelled personal data (left out without shared data)', () => {
  const cases = readFileSync(piiCases, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LabelledText);

  it.each(Object.entries(CATEGORY_OF))('%s', (recognizer, category) => {
    const labelled = cases.filter((each) => each.recognizer === recognizer && !NO_PERSON.test(each.text));
    let hit = 0;
    let missed = 0;
    let wrong = 0;
    for (const { text, expected } of labelled) {
      const found = classifyText(text).filter((each) => each === category).length;
      hit += Math.min(found, expected);
      missed += Math.max(0, expected - found);
      wrong += Math.max(0, found - expected);
    }
    const recall = hit / Math.max(1, hit + missed);
    const precision = hit / Math.max(1, hit + wrong);
    process.stdout.write(
      `${category}: ${labelled.length} texts, recall ${recall.toFixed(2)}, precision ${precision.toFixed(2)}\n`,
    );
    expect(labelled.length).toBeGreaterThan(0);
    expect({ recall: recall >= FLOORS[category]![0], precision: precision >= FLOORS[category]![1] }).toEqual({
      recall: true,
      precision: true,
    });
  });

  it('all other labelled texts: how many are taken for something they are not', () => {
    const others = cases.filter((each) => CATEGORY_OF[each.recognizer] === undefined && each.expected === 0);
    const taken = others.filter(({ text }) => classifyText(text).length > 0);
    process.stdout.write(`innocent texts of other kinds: ${taken.length} of ${others.length} masked\n`);
    expect(taken.length / others.length).toBeLessThan(0.1);
  });
});

/** [recall, precision] that must not fall. */
const FLOORS: Readonly<Partial<Record<Category, readonly [number, number]>>> = {
  email: [1, 0.9],
  payment_card: [0.9, 0.9],
  us_ssn: [0.5, 0.9],
  phone: [0.8, 0.9],
  ip_address: [0.9, 0.9],
};

describe.skipIf(!existsSync(gitleaks))('known secret formats (left out without shared data)', () => {
  it('that begin with a mark of their maker are found', () => {
    const rules = parseRules(readFileSync(gitleaks, 'utf8')).filter(({ regex }) => hasMark(regex));
    const missed: string[] = [];
    for (const { id, regex } of rules) {
      const samples = fc.sample(fc.stringMatching(regex), { numRuns: 20, seed: 7 });
      const found = samples.filter((sample) => classifyText(`value ${sample.trim()} end`).includes('secret')).length;
      if (found < samples.length * 0.8) missed.push(`${id} ${found}/${samples.length}`);
    }
    process.stdout.write(
      `secret formats: ${rules.length - missed.length} of ${rules.length} found; missed: ${missed.join(', ')}\n`,
    );
    expect(rules.length).toBeGreaterThan(60);
    expect(1 - missed.length / rules.length).toBeGreaterThan(0.8);
  });
});

interface SecretRule {
  readonly id: string;
  readonly regex: RegExp;
}

/** The id and pattern of each rule whose pattern JavaScript can read. */
function parseRules(toml: string): SecretRule[] {
  const rules: SecretRule[] = [];
  for (const block of toml.split('[[rules]]').slice(1)) {
    const id = /^id = "(.+)"$/m.exec(block)?.[1];
    const pattern = /^regex = '''(.+)'''$/m.exec(block)?.[1];
    if (id === undefined || pattern === undefined) continue;
    const source = pattern
      .replace(/\(\?-?i\)/g, '')
      .replace(/\(\?-?i:/g, '(?:')
      .replace(/\[\[:alnum:\]\]/g, '[A-Za-z0-9]')
      .replace(/\(\?:\[\\x60'"\\s;\]\|\\\\\[nr\]\|\$\)/g, '')
      .replace(/\(\?P</g, '(?<')
      .replace(/\\[bB]|\\z/g, '');
    try {
      rules.push({ id, regex: new RegExp(`^${source}$`) });
    } catch {
      // A pattern in a dialect that only Go reads.
    }
  }
  return rules;
}

/** Patterns that begin with literal characters; the others need the name of a vendor nearby and any letters after it. */
function hasMark(regex: RegExp): boolean {
  return (
    /^\^\(?(?:[A-Za-z0-9_-]{3,}|\(\?:[A-Za-z0-9|_-]{5,}\)_)/.test(regex.source) &&
    !/\[\\w\.-\]\{0,50\}/.test(regex.source)
  );
}
