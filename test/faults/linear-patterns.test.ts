import { scrubGraphql, scrubQueryText } from 'spanwarden/internal/decode/scrub-query-text';
import { scrubText } from 'spanwarden/internal/decode/scrub-text';
import { describe, expect, it } from 'vitest';

/** Hostile text must cost its length, not the square of it: a ratio of two times of one run, so it lives with the rigs. */

describe('patterns are linear', () => {
  const hostile = [
    'a@'.repeat(2000),
    '1 '.repeat(2000),
    '1-'.repeat(2000),
    '+1('.repeat(1300),
    'a.'.repeat(2000),
    '1.'.repeat(2000),
    ':'.repeat(4000),
    'a:'.repeat(2000),
    'eyJ'.repeat(1300),
    'eyJaaaaaaaa.'.repeat(330),
    '-----BEGIN'.repeat(400),
    'password='.repeat(450),
    '"password":"'.repeat(330),
    'bearer '.repeat(570),
    'DE89'.repeat(1000),
    'sk-'.repeat(1300),
    '?a=b&'.repeat(800),
    '://a'.repeat(1000),
    `://${'a'.repeat(4000)}`,
    '%40'.repeat(1300),
    '\\"'.repeat(2000),
    'A'.repeat(4096),
  ];

  const REPEATS = 16;
  /** Quadratic would be 256 times; measured in turns, best of each, so that a busy machine slows both. */
  const expectLinear = (text: string, scrub: (text: string) => unknown): void => {
    const long = text.repeat(REPEATS);
    let once = Number.POSITIVE_INFINITY;
    let many = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 9; i++) {
      const start = process.hrtime.bigint();
      scrub(text);
      const middle = process.hrtime.bigint();
      scrub(long);
      once = Math.min(once, Number(middle - start));
      many = Math.min(many, Number(process.hrtime.bigint() - middle));
    }
    expect(many).toBeLessThan(Math.max(once, 200_000) * REPEATS * 6);
  };

  it.each(hostile.map((text) => [text.slice(0, 16), text]))('in free text on %s…', (_, text) => {
    expectLinear(text, (input) => scrubText(input, []));
  });

  it.each(["'", '"', '$', '(', 'a,', '?,', '/*', '--\n', '$a$', '\\', '`', '"a".', '1e', '-1'])(
    'in statements on %j',
    (part) => {
      expectLinear(part.repeat(4000 / part.length), (input) => scrubQueryText(`SELECT ${input}`));
      expectLinear(part.repeat(4000 / part.length), (input) => scrubQueryText(`{"find":${input}`));
      expectLinear(part.repeat(4000 / part.length), scrubGraphql);
    },
  );
});
