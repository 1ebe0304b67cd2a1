import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Hex } from './sha256.ts';

const reference = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

describe('sha256', () => {
  it('equals the runtime on texts of every length around a block', () => {
    for (let length = 0; length <= 200; length++) {
      const text = 'x'.repeat(length);
      expect(sha256Hex(text)).toBe(reference(text));
    }
  });

  it('equals the runtime on any text', () => {
    // Lone surrogates have no UTF-8 form, so both sides replace them.
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 500 }), (text) => sha256Hex(text) === reference(text)),
    );
  });
});
