import { TAG_BOOLEAN, TAG_LIST, TAG_STRING } from '../base/batch.ts';
import { type ByteReader, DamagedError } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readNumbers, writeNumbers } from './number-column.ts';
import { type RefNumbering, readRefs, writeRefs } from './ref-column.ts';
import { growDoubles, growWords } from './scratch.ts';

/**
 * Attributes of many rows: most rows carry one of a few sequences of (key, tag), its *shape*, so a row is one shape
 * number and each (key, tag) has a column of values.
 *
 * ```
 * columns varint, per column: key varint, tag byte
 * shapes  varint, per shape: length varint, column numbers varint
 * shape of each row (number column), then the values of each column (strings and lists: reference columns)
 * ```
 */

/** Attributes of row `i` are entries `[from[i], from[i + 1])` of the other three. */
export interface AttributeEntries {
  readonly from: Uint32Array;
  readonly key: Uint32Array;
  readonly tag: Uint8Array;
  readonly value: Float64Array;
}

const NONE = -1;

/** Finds the shape of each row; hashes are salted because senders choose the keys. */
class ShapeTable {
  /** Row that first had the shape. */
  readonly firstRow: number[] = [];
  readonly rowsOf: number[] = [];
  #slots = new Int32Array(1024).fill(NONE);
  #hashes: number[] = [];
  readonly #salt: number;

  constructor(salt: number) {
    this.#salt = salt;
  }

  reset(): void {
    if (this.#slots.length > 1024) this.#slots = new Int32Array(1024);
    this.#slots.fill(NONE);
    this.firstRow.length = 0;
    this.rowsOf.length = 0;
    this.#hashes.length = 0;
  }

  shapeOf({ from, key, tag }: AttributeEntries, row: number): number {
    const start = from[row]!;
    const length = from[row + 1]! - start;
    let hash = this.#salt ^ length;
    for (let i = start; i < start + length; i++) {
      hash = Math.imul(hash ^ ((key[i]! << 2) | tag[i]!), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const shape = this.#slots[slot]!;
      if (shape === NONE) return this.#add(slot, hash, row);
      if (this.#hashes[shape] === hash && this.#same(key, tag, from, this.firstRow[shape]!, start, length)) {
        this.rowsOf[shape]!++;
        return shape;
      }
    }
  }

  #same(key: Uint32Array, tag: Uint8Array, from: Uint32Array, row: number, start: number, length: number): boolean {
    const other = from[row]!;
    if (from[row + 1]! - other !== length) return false;
    for (let i = 0; i < length; i++) {
      if (key[other + i] !== key[start + i] || tag[other + i] !== tag[start + i]) return false;
    }
    return true;
  }

  #add(slot: number, hash: number, row: number): number {
    const shape = this.firstRow.length;
    this.firstRow.push(row);
    this.rowsOf.push(1);
    this.#hashes.push(hash);
    this.#slots[slot] = shape;
    if (this.firstRow.length * 2 > this.#slots.length) this.#grow();
    return shape;
  }

  #grow(): void {
    const grown = new Int32Array(this.#slots.length * 2).fill(NONE);
    const mask = grown.length - 1;
    for (let shape = 0; shape < this.#hashes.length; shape++) {
      let slot = this.#hashes[shape]! & mask;
      while (grown[slot] !== NONE) slot = (slot + 1) & mask;
      grown[slot] = shape;
    }
    this.#slots = grown;
  }
}

const shapes = new ShapeTable((Math.random() * 0x1_0000_0000) | 0);
let rowShape = new Uint32Array(1024);
let columnOfEntry = new Uint32Array(4096);
let sorted = new Float64Array(8192);

/** References are renumbered when a numbering is given; otherwise they are written as they are. */
export function writeAttributes(
  writer: ByteWriter,
  entries: AttributeEntries,
  rows: number,
  keys: { positionOf(key: number): number },
  numbering: { readonly strings: RefNumbering; readonly lists: RefNumbering } | undefined,
): void {
  shapes.reset();
  rowShape = growWords(rowShape, rows);
  for (let row = 0; row < rows; row++) rowShape[row] = shapes.shapeOf(entries, row);

  // columns in the order in which the shapes first name them
  const columnIds = new Map<number, number>();
  const columnCodes: number[] = [];
  const columnLengths: number[] = [];
  const shapeFrom: number[] = [];
  let shapeEntries = 0;
  const { from, key, tag, value } = entries;
  for (let shape = 0; shape < shapes.firstRow.length; shape++) {
    const row = shapes.firstRow[shape]!;
    shapeFrom.push(shapeEntries);
    columnOfEntry = growWords(columnOfEntry, shapeEntries + from[row + 1]! - from[row]!);
    for (let i = from[row]!; i < from[row + 1]!; i++) {
      const code = key[i]! * 4 + tag[i]!;
      let column = columnIds.get(code);
      if (column === undefined) {
        column = columnCodes.push(code) - 1;
        columnIds.set(code, column);
        columnLengths.push(0);
      }
      columnOfEntry[shapeEntries++] = column;
      columnLengths[column]! += shapes.rowsOf[shape]!;
    }
  }
  shapeFrom.push(shapeEntries);

  writer.varint(columnCodes.length);
  for (const code of columnCodes) {
    writer.varint(keys.positionOf(Math.floor(code / 4)));
    writer.byte(code & 3);
  }
  writer.varint(shapes.firstRow.length);
  for (let shape = 0; shape + 1 < shapeFrom.length; shape++) {
    writer.varint(shapeFrom[shape + 1]! - shapeFrom[shape]!);
    for (let i = shapeFrom[shape]!; i < shapeFrom[shape + 1]!; i++) writer.varint(columnOfEntry[i]!);
  }
  writeNumbers(writer, rowShape, 0, rows);

  // bring the values of each column together
  const cursors = new Uint32Array(columnCodes.length + 1);
  for (let column = 0; column < columnCodes.length; column++) {
    cursors[column + 1] = cursors[column]! + columnLengths[column]!;
  }
  const bounds = cursors.slice();
  sorted = growDoubles(sorted, from[rows]! - from[0]!);
  for (let row = 0; row < rows; row++) {
    let at = shapeFrom[rowShape[row]!]!;
    for (let i = from[row]!; i < from[row + 1]!; i++) sorted[cursors[columnOfEntry[at++]!]!++] = value[i]!;
  }
  for (let column = 0; column < columnCodes.length; column++) {
    const type = columnCodes[column]! & 3;
    if (type === TAG_STRING) writeRefs(writer, sorted, bounds[column]!, bounds[column + 1]!, numbering?.strings);
    else if (type === TAG_LIST) writeRefs(writer, sorted, bounds[column]!, bounds[column + 1]!, numbering?.lists);
    else writeNumbers(writer, sorted, bounds[column]!, bounds[column + 1]!);
  }
}

/** The inverse of `writeAttributes`. `keyIds` gives the key of this process for each stored key. */
export function readAttributes(
  reader: ByteReader,
  rows: number,
  keyIds: Uint32Array,
  stringCount: number,
  listCount: number,
): AttributeEntries {
  const columns = readColumns(reader, keyIds);
  const shapeColumns = readShapes(reader, columns.key.length);
  const shapeOfRow = new Uint32Array(rows);
  readNumbers(reader, shapeOfRow, 0, rows);

  const from = new Uint32Array(rows + 1);
  const lengths = new Uint32Array(columns.key.length);
  const rowsOfShape = new Uint32Array(shapeColumns.length);
  for (let row = 0; row < rows; row++) {
    const shape = shapeOfRow[row]!;
    if (shape >= shapeColumns.length) throw new DamagedError(`attribute shape ${shape} of ${shapeColumns.length}`);
    rowsOfShape[shape]!++;
    from[row + 1] = from[row]! + shapeColumns[shape]!.length;
  }
  shapeColumns.forEach((list, shape) => {
    for (const column of list) lengths[column]! += rowsOfShape[shape]!;
  });
  const { values, cursors } = readColumnValues(reader, columns.tag, lengths, stringCount, listCount);

  const total = from[rows]!;
  const key = new Uint32Array(total);
  const tag = new Uint8Array(total);
  const value = new Float64Array(total);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    const list = shapeColumns[shapeOfRow[row]!]!;
    for (let i = 0; i < list.length; i++) {
      const column = list[i]!;
      key[at] = columns.key[column]!;
      tag[at] = columns.tag[column]!;
      value[at++] = values[cursors[column]!++]!;
    }
  }
  return { from, key, tag, value };
}

function readColumns(reader: ByteReader, keyIds: Uint32Array): { key: Uint32Array; tag: Uint8Array } {
  const count = reader.count(reader.end - reader.position);
  const columns = { key: new Uint32Array(count), tag: new Uint8Array(count) };
  for (let column = 0; column < count; column++) {
    const key = reader.varint();
    if (key >= keyIds.length) throw new DamagedError(`attribute key ${key} of ${keyIds.length}`);
    const tag = reader.byte();
    if (tag > TAG_LIST) throw new DamagedError(`attribute tag ${tag}`);
    columns.key[column] = keyIds[key]!;
    columns.tag[column] = tag;
  }
  return columns;
}

/** The columns of each shape. */
function readShapes(reader: ByteReader, columns: number): Uint32Array[] {
  const shapes: Uint32Array[] = [];
  for (let left = reader.count(reader.end - reader.position); left > 0; left--) {
    const list = new Uint32Array(reader.count(reader.end - reader.position));
    for (let i = 0; i < list.length; i++) {
      const column = reader.varint();
      if (column >= columns) throw new DamagedError(`attribute column ${column} of ${columns}`);
      list[i] = column;
    }
    shapes.push(list);
  }
  return shapes;
}

/** Values column after column, and where each column begins. */
function readColumnValues(
  reader: ByteReader,
  tags: Uint8Array,
  lengths: Uint32Array,
  stringCount: number,
  listCount: number,
): { values: Float64Array; cursors: Uint32Array } {
  const cursors = new Uint32Array(lengths.length + 1);
  for (let column = 0; column < lengths.length; column++) cursors[column + 1] = cursors[column]! + lengths[column]!;
  const values = new Float64Array(cursors[lengths.length]!);
  for (let column = 0; column < lengths.length; column++) {
    const tag = tags[column]!;
    const at = cursors[column]!;
    const count = lengths[column]!;
    if (tag === TAG_STRING) readRefs(reader, values, at, count, stringCount);
    else if (tag === TAG_LIST) readRefs(reader, values, at, count, listCount);
    else readNumbers(reader, values, at, count);
    if (tag === TAG_BOOLEAN) checkBooleans(values, at, count);
  }
  return { values, cursors };
}

function checkBooleans(values: Float64Array, from: number, count: number): void {
  for (let i = from; i < from + count; i++) {
    if (values[i] !== 0 && values[i] !== 1) throw new DamagedError(`a boolean of ${values[i]}`);
  }
}
