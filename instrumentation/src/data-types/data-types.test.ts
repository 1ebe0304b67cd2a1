import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isIban } from './iban.ts';
import { countInText, FieldEvidence, typeOfValue } from './index.ts';
import { isCardNumber, passesLuhn } from './payment-card.ts';
import { isNumber } from './phone.ts';
import { DETECTORS } from './registry.ts';
import { isSsn } from './us-ssn.ts';

function judge(name: string, values: readonly string[], besidePersonalData = false): string | undefined {
  const evidence = new FieldEvidence(name);
  for (const value of values) evidence.add(value);
  const verdict = evidence.verdict(besidePersonalData);
  return verdict && DETECTORS[verdict.detector]?.type;
}

describe('a field', () => {
  test.each([
    ['email', ['jane@example.com'], 'email'],
    ['contact', ['jane@example.com', 'bob@example.org'], 'email'],
    ['phoneNumber', ['+1 415 555 0132'], 'phone'],
    ['mobile', ['4155550132'], 'phone'],
    ['ssn', ['123-45-6788'], 'us_ssn'],
    ['social_security_number', ['123456788'], 'us_ssn'],
    ['cardNumber', ['4111111111111111'], 'payment_card'],
    ['value', ['4111 1111 1111 1111'], 'payment_card'],
    ['iban', ['DE89 3704 0044 0532 0130 00'], 'iban'],
    ['accountRef', ['GB82WEST12345698765432'], 'iban'],
    ['dateOfBirth', ['1984-02-29'], 'date_of_birth'],
    ['lastName', ['Doe'], 'person_name'],
    ['billingAddress', ['12 Main Street'], 'street_address'],
    ['zip', ['94107'], 'postal_code'],
    ['clientIp', ['203.0.113.9'], 'ip_address'],
    ['blob', ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2ln'], 'jwt'],
    ['note', [`AKIA${'Q'.repeat(16)}`], 'secret'],
    ['cvv', ['123'], 'card_verification'],
    ['passportNumber', ['X12345678'], 'passport'],
    ['driversLicense', ['D1234567'], 'driver_license'],
    ['diagnosis', ['E11.9'], 'diagnosis'],
    ['mrn', ['00123456'], 'medical_record_number'],
    ['password', ['correct horse'], 'password'],
  ])('%s of %j is %s', (name, values, type) => {
    expect(judge(name, values)).toBe(type);
  });

  test.each([
    ['orderNumber', ['4111111111111111']],
    ['createdAt', ['1984-02-29', '1999-12-31']],
    ['version', ['1.2.3.4', '10.0.0.1']],
    ['sku', ['123-45-6788']],
    ['id', ['4155550132', '4155550133']],
    ['total', ['123456788']],
    ['title', ['Jane Doe']],
    ['trackingNumber', ['4012888888881881']],
    ['productName', ['Jane Doe Deluxe']],
    ['password', ['********']],
    ['price', ['1999.90', '12.50']],
    ['timestamp', ['1735689600000', '1735689600001']],
    ['status', ['active', 'closed']],
    ['color', ['#ff00aa']],
  ])('%s of %j is nothing', (name, values) => {
    expect(judge(name, values)).toBeUndefined();
  });

  test('called plainly "name" is a person only beside other personal data', () => {
    expect(judge('name', ['Jane Doe', 'Bob Ray'], true)).toBe('person_name');
    expect(judge('name', ['Jane Doe', 'Bob Ray'], false)).toBeUndefined();
    expect(judge('name', ['widget 42'], true)).toBeUndefined();
  });

  test('that changes its content changes its type', () => {
    const evidence = new FieldEvidence('contact');
    for (let index = 0; index < 100; index++) evidence.add('none');
    expect(evidence.verdict(false)).toBeUndefined();
    for (let index = 0; index < 10; index++) evidence.add('jane@example.com');
    const verdict = evidence.verdict(false);
    expect(verdict && DETECTORS[verdict.detector]?.type).toBe('email');
  });
});

describe('one named value', () => {
  test('is recognised by its form, or by name and form together', () => {
    expect(typeOfValue('q', 'jane@example.com')).toBe('email');
    expect(typeOfValue('card', '4111111111111111')).toBe('payment_card');
    expect(typeOfValue('q', '123456788')).toBeUndefined();
    expect(typeOfValue('ssn', '123456788')).toBe('us_ssn');
    expect(typeOfValue('page', '12')).toBeUndefined();
  });
});

const digits = (length: number) => fc.stringMatching(new RegExp(`^\\d{${length}}$`));

describe('the negative space', () => {
  test('a card with any digit changed is no card', () => {
    fc.assert(
      fc.property(fc.nat(15), fc.integer({ min: 1, max: 9 }), (position, by) => {
        const card = [...'4111111111111111'];
        card[position] = String((Number(card[position]) + by) % 10);
        expect(passesLuhn(card.join(''))).toBe(false);
      }),
    );
  });

  test('random digits of card length pass in under 3 % of cases', () => {
    const samples = fc.sample(digits(16), { numRuns: 5000, seed: 7 });
    expect(samples.filter(isCardNumber).length / samples.length).toBeLessThan(0.03);
  });

  test('area 000, 666 and 9xx, group 00 and serial 0000 are never social security numbers', () => {
    const area = fc.oneof(fc.constant('000'), fc.constant('666'), fc.integer({ min: 900, max: 999 }).map(String));
    fc.assert(fc.property(area, digits(6), (prefix, rest) => !isSsn(prefix + rest)));
    fc.assert(fc.property(digits(3), digits(4), (prefix, rest) => !isSsn(`${prefix}00${rest}`)));
    fc.assert(fc.property(digits(3), digits(2), (prefix, rest) => !isSsn(`${prefix}${rest}0000`)));
  });

  test('nine digits inside a longer run or a word are never counted as social security numbers', () => {
    fc.assert(
      fc.property(digits(3), digits(2), digits(4), fc.stringMatching(/^[A-Za-z0-9]$/), (a, b, c, beside) => {
        expect(countInText(`${beside}${a}-${b}-${c}`).has('us_ssn')).toBe(false);
        expect(countInText(`${a}-${b}-${c}${beside}`).has('us_ssn')).toBe(false);
        expect(countInText(`${a}${b}${c}`).has('us_ssn')).toBe(false);
      }),
    );
  });

  test('an IBAN with two neighbouring digits swapped is none, unless they are equal', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 20 }), (position) => {
        const text = [...'DE89370400440532013000'];
        const [left, right] = [text[position]!, text[position + 1]!];
        text[position] = right;
        text[position + 1] = left;
        expect(isIban(text.join(''))).toBe(left === right);
      }),
    );
  });

  test('any other country or length is no IBAN', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Z]{2}\d{2}[A-Z0-9]{5,34}$/), (text) => {
        if (isIban(text)) expect(text).toMatch(/^[A-Z]{2}/);
        expect(isIban(`${text}0`) && isIban(text)).toBe(false);
      }),
    );
  });

  test('dates, times, amounts, versions and coordinates are no telephone numbers', () => {
    const two = fc.integer({ min: 1, max: 12 }).map((number) => String(number).padStart(2, '0'));
    const year = fc.integer({ min: 1900, max: 2099 }).map(String);
    const shapes = fc.oneof(
      fc.tuple(year, two, two).map((parts) => parts.join('-')),
      fc.tuple(two, two, year).map((parts) => parts.join('.')),
      fc.tuple(two, two, year).map((parts) => parts.join('/')),
      fc.tuple(fc.nat(9_999_999), fc.nat(99)).map(([whole, cents]) => `${whole}.${cents}`),
      fc.tuple(fc.nat(20), fc.nat(20), fc.nat(2000)).map((parts) => parts.join('.')),
      fc.double({ min: -180, max: 180, noNaN: true }).map((number) => number.toFixed(6)),
      fc.integer({ min: 1_600_000_000, max: 1_999_999_999 }).map(String),
    );
    fc.assert(fc.property(shapes, (text) => !isNumber(text)));
  });

  test('any text is judged in linear time, whatever it holds', () => {
    const hostile = [
      '@'.repeat(50_000),
      'a@'.repeat(25_000),
      '1-'.repeat(25_000),
      ':'.repeat(50_000),
      'eyJ.'.repeat(12_000),
      '(1'.repeat(25_000),
      'f:'.repeat(25_000),
      '4 '.repeat(25_000),
    ];
    for (const text of hostile) {
      const start = process.cpuUsage();
      countInText(text);
      expect(process.cpuUsage(start).user / 1000).toBeLessThan(400);
    }
  });
});

const CASES = join(import.meta.dirname, '../../../../shared/data/pii_cases/presidio_cases_give.jsonl');

interface Case {
  readonly recognizer: string;
  readonly text: string;
  readonly expected: number;
}

/** Which of our types each recognizer's cases are about; where it is undefined we claim nothing. */
const TYPE_OF_RECOGNIZER: Readonly<Record<string, string>> = {
  credit_card_recognizer: 'payment_card',
  email_recognizer: 'email',
  us_ssn_recognizer: 'us_ssn',
  ip_recognizer: 'ip_address',
  phone_recognizer: 'phone',
};

/** Recognizers whose texts hold numbers that are none of the five types, so that a hit is a mistake. */
const FOREIGN =
  /^(?:aba|au_|ca_|certificate|crypto|de_|es_|fi_|in_|it_|kr_|ng_|pl_|se_|sg_|th_|tr_(?:license|national)|uk_|us_(?:bank|itin|mbi|npi)|za_|date|mac|medical)/;

describe.skipIf(!existsSync(CASES))('third-party cases (left out without shared data)', () => {
  test('card, SSN and e-mail keep precision and recall of 0.9 or more; phone and address are reported', () => {
    const cases = readFileSync(CASES, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Case);
    const report: Record<
      string,
      { precision: number; recall: number; hits: number; misses: number; mistakes: number }
    > = {};
    for (const type of Object.values(TYPE_OF_RECOGNIZER)) {
      let hits = 0;
      let misses = 0;
      let mistakes = 0;
      for (const { recognizer, text, expected } of cases) {
        const own = TYPE_OF_RECOGNIZER[recognizer] === type;
        if (!own && !FOREIGN.test(recognizer)) continue;
        const found = countInText(text).get(type) ?? 0;
        const wanted = own ? expected : 0;
        hits += Math.min(found, wanted);
        misses += Math.max(0, wanted - found);
        mistakes += Math.max(0, found - wanted);
        if (process.env['VERBOSE'] && found !== wanted)
          process.stdout.write(`${type} ${recognizer} ${found}/${wanted} ${text}\n`);
      }
      report[type] = { precision: hits / (hits + mistakes), recall: hits / (hits + misses), hits, misses, mistakes };
    }
    for (const [type, row] of Object.entries(report))
      process.stdout.write(
        `${type.padEnd(14)} precision ${row.precision.toFixed(3)} recall ${row.recall.toFixed(3)} (${row.hits} found, ${row.misses} missed, ${row.mistakes} mistaken)\n`,
      );
    for (const type of ['payment_card', 'us_ssn', 'email'])
      expect(
        [report[type]!.precision, report[type]!.recall].every((value) => value >= 0.9),
        type,
      ).toBe(true);
    expect(report['phone']!.recall).toBeGreaterThan(0.7);
  });
});
