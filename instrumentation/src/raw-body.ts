/**
 * Bodies as bytes: chunks of one response or request in, a parsed value or an exact record count out; keeps at most a capped
 * copy, and lets go of it when the body is done.
 */

/** Bytes kept of one body; a longer one is only counted. */
export const RAW_BODY_BYTES_MAX = 262_144;

/** How a body is written, as far as we can read it. */
export type BodyFormat = 'json' | 'ndjson' | 'csv';

export function bodyFormat(contentType: string | undefined): BodyFormat | undefined {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/json' || type === 'text/json' || type.endsWith('+json')) return 'json';
  if (/^application\/(?:x-ndjson|jsonl|jsonlines|json-seq)$/.test(type)) return 'ndjson';
  return type === 'text/csv' ? 'csv' : undefined;
}

export class RawBody {
  bytes = 0;
  #chunks: Buffer[] = [];
  #kept = 0;
  #counter: RecordCounter | undefined;

  /** Counts without keeping: for bodies that are seen as objects, or that we cannot read. */
  skip(chunk: string | Uint8Array, encoding?: BufferEncoding): void {
    this.bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.byteLength;
  }

  /** The chunk is copied: its owner may write over it. */
  add(chunk: string | Uint8Array, format: BodyFormat, encoding?: BufferEncoding): void {
    const bytes = Buffer.from(chunk as string, encoding);
    this.bytes += bytes.length;
    if (this.#counter !== undefined) {
      this.#counter.add(bytes);
      return;
    }
    this.#chunks.push(bytes);
    this.#kept += bytes.length;
    if (this.#kept <= RAW_BODY_BYTES_MAX) return;
    this.#counter = new RecordCounter(format);
    for (const kept of this.#chunks) this.#counter.add(kept);
    this.#chunks = [];
  }

  get empty(): boolean {
    return this.#chunks.length === 0 && this.#counter === undefined;
  }

  /** Records of a body that outgrew the cap, else undefined. */
  get countedRecords(): number | undefined {
    return this.#counter?.records;
  }

  /** The value that the kept bytes stand for. @throws SyntaxError */
  take(format: BodyFormat): unknown {
    const text = Buffer.concat(this.#chunks).toString('utf8');
    this.#chunks = [];
    if (format === 'json') return JSON.parse(text);
    const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
    return format === 'csv' ? parseCsv(lines) : lines.map((line): unknown => JSON.parse(line));
  }
}

/** Header names and the values of each line; quoted separators are respected, quoted line breaks are not. */
function parseCsv(lines: readonly string[]): unknown {
  const separator = [';', '\t'].find((candidate) => lines[0]?.includes(candidate) && !lines[0].includes(',')) ?? ',';
  const [header, ...rows] = lines.map((line) => splitCsvLine(line, separator));
  return rows.map((row) => Object.fromEntries((header ?? []).map((name, index) => [name, row[index] ?? ''])));
}

function splitCsvLine(line: string, separator: string): string[] {
  const cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (const character of line) {
    if (character === '"') quoted = !quoted;
    else if (character === separator && !quoted) {
      cells.push(cell);
      cell = '';
    } else cell += character;
  }
  cells.push(cell);
  return cells;
}

const DEPTH_MAX = 6;
const OPEN_MAX = 1000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Finds the longest array of objects in a JSON text of any length without building it; counts lines of the line formats. */
export class RecordCounter {
  readonly #lines: boolean;
  readonly #headerLines: number;
  readonly #open: number[] = [];
  readonly #counts: number[] = [];
  #beyond = 0;
  #inString = false;
  #escaped = false;
  #longest = 0;
  #newlines = 0;

  constructor(format: BodyFormat) {
    this.#lines = format !== 'json';
    this.#headerLines = format === 'csv' ? 1 : 0;
  }

  get records(): number {
    return this.#lines ? Math.max(0, this.#newlines - this.#headerLines) : Math.max(1, this.#longest);
  }

  add(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#lines) {
        if (byte === 0x0a) this.#newlines++;
      } else if (this.#escaped) this.#escaped = false;
      else if (this.#inString) {
        if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
      } else this.#structure(byte);
    }
  }

  #structure(byte: number): void {
    if (byte === QUOTE) this.#inString = true;
    else if (byte === 0x5b || byte === 0x7b) {
      const depth = this.#open.length;
      if (depth >= OPEN_MAX) {
        this.#beyond++;
        return;
      }
      if (byte === 0x7b && this.#open[depth - 1] === 0x5b && depth <= DEPTH_MAX) {
        this.#counts[depth] = (this.#counts[depth] ?? 0) + 1;
        this.#longest = Math.max(this.#longest, this.#counts[depth]);
      }
      this.#open.push(byte);
      if (byte === 0x5b && depth < DEPTH_MAX) this.#counts[depth + 1] = 0;
    } else if (byte === 0x5d || byte === 0x7d) {
      if (this.#beyond > 0) this.#beyond--;
      else this.#open.pop();
    }
  }
}
