import { type ByteReader, DamagedError } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readNumbers, writeNumbers } from './number-column.ts';

/**
 * A list of strings: how many UTF-16 units each has, then all of them end to end, so that one call turns bytes into text.
 *
 * ```
 * count varint, lengths (number column), encoding byte, byte length varint, text
 * ```
 */
const UTF8 = 0;
const ASCII = 1;
/** Only a lone surrogate, which UTF-8 cannot hold, needs it. */
const UTF16 = 2;

const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed();

export function writeStrings(writer: ByteWriter, strings: readonly string[]): void {
  writer.varint(strings.length);
  if (strings.length === 0) return;
  const lengths = new Uint32Array(strings.length);
  for (let i = 0; i < lengths.length; i++) lengths[i] = strings[i]!.length;
  writeNumbers(writer, lengths, 0, lengths.length);
  writeText(writer, strings.join(''));
}

function writeText(writer: ByteWriter, text: string): void {
  if (!isWellFormed(text)) {
    writer.byte(UTF16);
    writer.varint(text.length * 2);
    writer.reserve(text.length * 2);
    writer.length += writer.bytes.write(text, writer.length, 'utf16le');
    return;
  }
  const byteLength = Buffer.byteLength(text, 'utf8');
  writer.byte(byteLength === text.length ? ASCII : UTF8);
  writer.varint(byteLength);
  writer.reserve(byteLength);
  writer.length += writer.bytes.write(text, writer.length, byteLength === text.length ? 'latin1' : 'utf8');
}

export function readStrings(reader: ByteReader): string[] {
  const count = reader.count(0xffff_ffff);
  if (count === 0) return [];
  // a constant column has no bytes per row: bound it before allocating
  if (count > 0x400_0000) throw new DamagedError(`a list of ${count} strings`);
  const lengths = new Uint32Array(count);
  readNumbers(reader, lengths, 0, count);
  const text = readText(reader);
  const strings = new Array<string>(count);
  let from = 0;
  for (let i = 0; i < count; i++) {
    const to = from + lengths[i]!;
    strings[i] = text.substring(from, to);
    from = to;
  }
  if (from !== text.length) throw new DamagedError(`strings of ${from} units in a text of ${text.length}`);
  return strings;
}

function readText(reader: ByteReader): string {
  const encoding = reader.byte();
  const byteLength = reader.varint();
  const from = reader.skip(byteLength);
  if (encoding === ASCII) return reader.bytes.toString('latin1', from, from + byteLength);
  if (encoding === UTF8) return reader.bytes.toString('utf8', from, from + byteLength);
  if (encoding === UTF16) return reader.bytes.toString('utf16le', from, from + byteLength);
  throw new DamagedError(`a text of encoding ${encoding} is unknown`);
}
