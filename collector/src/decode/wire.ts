import { RejectedError } from '../base/errors.ts';

/** Protobuf wire types (protobuf.dev, "Encoding"). */
export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_GROUP = 3;
export const WIRE_GROUP_END = 4;
export const WIRE_FIXED32 = 5;

/** The tag of a length-delimited field. */
export const bytesTag = (field: number): number => (field << 3) | WIRE_BYTES;

/** The slice functions of Node's Buffer: `toString` without its checks. */
interface SliceBuffer extends Buffer {
  latin1Slice(from: number, to: number): string;
  utf8Slice(from: number, to: number): string;
}

const TWO_32 = 4294967296;

/**
 * Reads protobuf wire format out of one request. It never allocates per field, never reads outside `[pos, end)` of the
 * message that it was given, and throws RejectedError('malformed') for bytes that no encoder writes.
 */
export class WireReader {
  readonly bytes: SliceBuffer;
  readonly view: DataView;
  /** Next byte to read. */
  pos = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) as SliceBuffer;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(what: string): never {
    throw new RejectedError('malformed', `not a protobuf trace request: ${what} at byte ${this.pos}`);
  }

  /** A field's tag: (field number << 3) | wire type. */
  tag(end: number): number {
    const bytes = this.bytes;
    if (this.pos >= end) this.fail('a tag is cut off');
    const first = bytes[this.pos]!;
    if (first < 0x80) {
      if (first < 8) this.fail('field number 0');
      this.pos++;
      return first;
    }
    const tag = this.varint32(end);
    if (tag < 8) this.fail('field number 0');
    return tag;
  }

  /** A varint that must fit 32 bits (tags and lengths). */
  varint32(end: number): number {
    const bytes = this.bytes;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 5; i++) {
      if (this.pos >= end) this.fail('a number is cut off');
      const byte = bytes[this.pos++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value >= TWO_32) this.fail('a number above 32 bits');
        return value;
      }
      scale *= 128;
    }
    return this.fail('a number above 32 bits');
  }

  /** The low 32 bits of a varint of any width, as enums are read. */
  enumValue(end: number): number {
    const bytes = this.bytes;
    let value = 0;
    for (let i = 0; i < 10; i++) {
      if (this.pos >= end) this.fail('a number is cut off');
      const byte = bytes[this.pos++]!;
      if (i < 5) value |= (byte & 0x7f) << (i * 7);
      if (byte < 0x80) return value;
    }
    return this.fail('a number above 64 bits');
  }

  /** An int64: a number when exact in a double, else its decimal digits. */
  int64(end: number): number | string {
    const bytes = this.bytes;
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      if (this.pos >= end) this.fail('a number is cut off');
      const byte = bytes[this.pos++]!;
      const bits = byte & 0x7f;
      if (i < 4) low |= bits << (i * 7);
      else if (i === 4) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else if (i < 9) high |= bits << ((i - 5) * 7 + 3);
      else high |= bits << 31;
      if (byte < 0x80) return toInt64(high | 0, low >>> 0);
    }
    return this.fail('a number above 64 bits');
  }

  /** Reads a length and returns where its bytes end; `pos` is left at their start. */
  length(end: number): number {
    const bytes = this.bytes;
    let length = this.pos < end ? bytes[this.pos]! : 0x80;
    if (length < 0x80) this.pos++;
    else length = this.varint32(end);
    const to = this.pos + length;
    if (to > end) this.fail('a field is longer than its message');
    return to;
  }

  /** fixed64 nanoseconds since the epoch as integer microseconds, at most the greatest exact integer. */
  micros(end: number): number {
    if (this.pos + 8 > end) this.fail('a time is cut off');
    const low = this.view.getUint32(this.pos, true);
    const high = this.view.getUint32(this.pos + 4, true);
    this.pos += 8;
    return toMicros(high, low);
  }

  fixed32(end: number): number {
    if (this.pos + 4 > end) this.fail('a number is cut off');
    const value = this.view.getUint32(this.pos, true);
    this.pos += 4;
    return value;
  }

  double(end: number): number {
    if (this.pos + 8 > end) this.fail('a number is cut off');
    const value = this.view.getFloat64(this.pos, true);
    this.pos += 8;
    return value;
  }

  /** Steps over the value of a field that nobody asked for; nested groups without recursion. */
  skip(tag: number, end: number): void {
    const wire = tag & 7;
    if (wire === WIRE_GROUP) this.#skipGroup(tag, end);
    else this.#skipPlain(wire, end);
  }

  #skipPlain(wire: number, end: number): void {
    if (wire === WIRE_VARINT) this.enumValue(end);
    else if (wire === WIRE_FIXED64) this.#advance(8, end);
    else if (wire === WIRE_BYTES) this.pos = this.length(end);
    else if (wire === WIRE_FIXED32) this.#advance(4, end);
    else this.fail(wire === WIRE_GROUP_END ? 'a group ends that never began' : `wire type ${wire}`);
  }

  #skipGroup(opening: number, end: number): void {
    // Field numbers of the open groups; a hostile request can open one per byte, so this is a list and not the call stack.
    const open = [opening >>> 3];
    while (open.length > 0) {
      const tag = this.tag(end);
      const wire = tag & 7;
      if (wire === WIRE_GROUP) open.push(tag >>> 3);
      else if (wire === WIRE_GROUP_END) {
        if (open.pop() !== tag >>> 3) this.fail('a group ends as another field');
      } else this.#skipPlain(wire, end);
    }
  }

  #advance(count: number, end: number): void {
    if (this.pos + count > end) this.fail('a number is cut off');
    this.pos += count;
  }
}

/** Two's complement halves as a number when exact in a double, else as decimal digits. */
function toInt64(high: number, low: number): number | string {
  if (high === 0) return low;
  if (high >= -0x200000 && high < 0x200000) {
    const value = high * TWO_32 + low;
    if (Number.isSafeInteger(value)) return value;
  }
  return ((BigInt(high) << 32n) | BigInt(low)).toString();
}

/** Unsigned halves of nanoseconds as microseconds. 2^32 ns are 4,294,967 us and 296 ns: no intermediate loses a bit. */
export function toMicros(high: number, low: number): number {
  const micros = high * 4294967 + Math.floor((high * 296 + low) / 1000);
  return Math.min(micros, Number.MAX_SAFE_INTEGER);
}
