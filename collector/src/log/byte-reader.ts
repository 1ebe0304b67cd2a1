/** The bytes are not what was written: a checksum, a length or a reference does not fit. */
export class DamagedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DamagedError';
  }
}

/** Reads what a ByteWriter wrote; reading past the end is a DamagedError, never another value. */
export class ByteReader {
  readonly bytes: Buffer;
  position: number;
  readonly end: number;

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = from;
    this.end = to;
    if (from < 0 || from > to || to > bytes.length) throw new DamagedError('a section ends outside its bytes');
  }

  /** Position before `count` bytes, which are then passed. */
  skip(count: number): number {
    const from = this.position;
    if (!(count >= 0 && count <= this.end - from)) throw new DamagedError('a column ends outside its section');
    this.position = from + count;
    return from;
  }

  byte(): number {
    return this.bytes[this.skip(1)]!;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new DamagedError('a number does not end');
  }

  /** A varint that counts things of at least one byte (or bit-packed constant columns) and so has an upper bound. */
  count(max: number): number {
    const value = this.varint();
    if (value > max) throw new DamagedError(`a count of ${value} exceeds ${max}`);
    return value;
  }

  double(): number {
    return this.bytes.readDoubleLE(this.skip(8));
  }

  words(count: number): Uint32Array {
    const from = this.skip(count * 4);
    const copy = new Uint32Array(count);
    new Uint8Array(copy.buffer).set(this.bytes.subarray(from, from + count * 4));
    return copy;
  }

  done(): void {
    if (this.position !== this.end) throw new DamagedError(`${this.end - this.position} bytes are left over`);
  }
}
