/**
 * The key of a trace: the last 8 bytes of its id, which are the random ones in W3C, Zipkin, Jaeger and X-Ray ids alike.
 * Key lists are pairs of words (high, low), sorted and distinct. A key may stand for more than one trace, so whatever it
 * finds is compared with the whole id.
 */
export function toTraceKeys(traces: Uint32Array, count: number): Uint32Array {
  const keys = new Float64Array(count);
  const words = new Uint32Array(keys.buffer);
  const order = new BigUint64Array(keys.buffer);
  for (let trace = 0; trace < count; trace++) {
    words[trace * 2] = traces[trace * 4 + 3]!;
    words[trace * 2 + 1] = traces[trace * 4 + 2]!;
  }
  order.sort();
  const sorted = new Uint32Array(count * 2);
  let length = 0;
  for (let trace = 0; trace < count; trace++) {
    const high = words[trace * 2 + 1]!;
    const low = words[trace * 2]!;
    if (length > 0 && sorted[length - 2] === high && sorted[length - 1] === low) continue;
    sorted[length++] = high;
    sorted[length++] = low;
  }
  return length === sorted.length ? sorted : sorted.slice(0, length);
}

/** Whether a sorted list holds the key. */
export function hasTraceKey(keys: Uint32Array, high: number, low: number): boolean {
  let from = 0;
  let to = keys.length / 2 - 1;
  while (from <= to) {
    const middle = (from + to) >>> 1;
    const otherHigh = keys[middle * 2]!;
    const otherLow = keys[middle * 2 + 1]!;
    if (otherHigh === high && otherLow === low) return true;
    if (otherHigh < high || (otherHigh === high && otherLow < low)) from = middle + 1;
    else to = middle - 1;
  }
  return false;
}

/** Order of traces `a` of one table and `b` of another, four words each: by key, then by the rest of the id. */
export function compareTraces(ofA: Uint32Array, a: number, ofB: Uint32Array, b: number): number {
  const at = a * 4;
  const bt = b * 4;
  return (
    ofA[at + 2]! - ofB[bt + 2]! || ofA[at + 3]! - ofB[bt + 3]! || ofA[at]! - ofB[bt]! || ofA[at + 1]! - ofB[bt + 1]!
  );
}

/** A trace id of 32 hex digits as four words; undefined when it is none. */
export function toTraceWords(traceId: string): Uint32Array | undefined {
  if (!/^[0-9a-f]{32}$/i.test(traceId)) return undefined;
  return Uint32Array.from([0, 8, 16, 24], (from) => Number.parseInt(traceId.slice(from, from + 8), 16));
}
