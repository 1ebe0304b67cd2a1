/** Codes of `google.rpc.Code` that a sender may try again (OTLP 1.11, failures): 8 only when the server says when. */
const RETRYABLE: ReadonlySet<number> = new Set([1, 4, 10, 11, 14, 15]);
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;

export interface RetryVerdict {
  readonly retryable: boolean;
  /** When the server wants the next attempt. */
  readonly delayMs: number | undefined;
}

/** Whether a failed export may be repeated, from the error that a gRPC or HTTP exporter hands over. */
export function retryVerdict(error: unknown): RetryVerdict {
  const { code, metadata } = (error ?? {}) as { code?: unknown; metadata?: { get?: (name: string) => unknown[] } };
  if (typeof code !== 'number') return { retryable: isConnectionError(code), delayMs: undefined };
  if (code >= 400) return { retryable: [429, 502, 503, 504].includes(code), delayMs: undefined };
  const details = metadata?.get?.('grpc-status-details-bin')?.[0];
  const delayMs = details instanceof Uint8Array ? retryDelayMs(details) : undefined;
  const retryable = RETRYABLE.has(code) || (code === RESOURCE_EXHAUSTED && delayMs !== undefined);
  return { retryable: retryable || code === UNAVAILABLE, delayMs };
}

function isConnectionError(code: unknown): boolean {
  return (
    typeof code === 'string' && /^(?:ECONN|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)/.test(code)
  );
}

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/**
 * The delay in a serialized `google.rpc.Status { details 3: Any { type_url 1, value 2 } }` that holds a
 * `RetryInfo { retry_delay 1: Duration { seconds 1, nanos 2 } }`; undefined when it holds none or is damaged.
 */
export function retryDelayMs(status: Uint8Array): number | undefined {
  for (const [field, detail] of fields(status)) {
    if (field !== 3 || typeof detail === 'number') continue;
    const any = new Map(fields(detail));
    const type = any.get(1);
    const value = any.get(2);
    if (!(type instanceof Uint8Array) || Buffer.from(type).toString('latin1') !== RETRY_INFO) continue;
    if (!(value instanceof Uint8Array)) return 0;
    const delay = new Map(fields(value)).get(1);
    if (!(delay instanceof Uint8Array)) return 0;
    const duration = new Map(fields(delay));
    return Number(duration.get(1) ?? 0) * 1000 + Number(duration.get(2) ?? 0) / 1e6;
  }
  return undefined;
}

/** Protobuf fields of one message, varints as numbers; stops at the first byte that makes no sense. */
function fields(bytes: Uint8Array): [number, number | Uint8Array][] {
  const found: [number, number | Uint8Array][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let factor = 1;
    while (at < bytes.length) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    return Number.NaN;
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    const field = Math.trunc(tag / 8);
    if (wire === 0) found.push([field, varint()]);
    else if (wire === 2) {
      const length = varint();
      if (!(length <= bytes.length - at)) break;
      found.push([field, bytes.subarray(at, at + length)]);
      at += length;
    } else break;
  }
  return found;
}
