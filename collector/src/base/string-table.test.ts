import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StringTable } from './string-table.ts';

it('gives each text the position of its first appearance, through growth and reuse', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.string({ maxLength: 3 }), { maxLength: 800 }), { maxLength: 3 }), (batches) => {
      const table = new StringTable();
      for (const batch of batches) {
        const expected = [...new Set(batch)];
        expect(batch.map((text) => table.add(text))).toEqual(batch.map((text) => expected.indexOf(text)));
        expect(table.texts).toEqual(expected);
        table.reset();
      }
    }),
    { numRuns: 40 },
  );
});

it('keeps the texts that were handed out before a reset', () => {
  const table = new StringTable();
  table.add('kept');
  const { texts } = table;
  table.reset();
  table.add('other');
  expect(texts).toEqual(['kept']);
});
