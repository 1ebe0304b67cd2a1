import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileWildcard } from './wildcard.ts';

/** The same by a regular expression, which may backtrack. */
function reference(pattern: string): (value: string) => boolean {
  const body = pattern.replace(/\\([*?\\])|[*?]|[\s\S]/g, (piece, escaped?: string) => {
    if (escaped !== undefined) {
      return `\\${escaped}`;
    }
    return piece === '*' ? '[\\s\\S]*' : piece === '?' ? '[\\s\\S]' : piece.replace(/[.+^${}()|[\]\\]/, '\\$&');
  });
  const regex = new RegExp(`^${body}$`);
  return (value) => regex.test(value);
}

describe('a wildcard pattern', () => {
  it.each([
    ['abc', 'abc', true],
    ['abc', 'abcd', false],
    ['a*', 'a', true],
    ['a*c', 'ac', true],
    ['a*a', 'a', false],
    ['*b*', 'abc', true],
    ['*ab*ab*', 'abxab', true],
    ['*ab*ab*', 'abab', true],
    ['*ab*ab*', 'aab', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['?*?', 'a', false],
    ['*', '', true],
    ['', '', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['a\\', 'a\\', true],
  ])('%s on %s is %s', (pattern, value, passes) => {
    expect(compileWildcard(pattern)(value)).toBe(passes);
  });

  it('equals a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '\\'), maxLength: 8 });
    fc.assert(
      fc.property(text, text, (pattern, value) => compileWildcard(pattern)(value) === reference(pattern)(value)),
      { numRuns: 2000 },
    );
  });

  it('takes time in proportion to the text however many stars it has', () => {
    const passes = compileWildcard(`${'*a'.repeat(60)}b`);
    expect(passes('a'.repeat(4096))).toBe(false);
  });
});
