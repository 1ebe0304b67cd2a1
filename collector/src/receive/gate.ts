import type { Counters } from '../base/counters.ts';
import { RejectedError, UnavailableError } from '../base/errors.ts';
import { type Admit, type ExportAnswer, type ExportRequest, FULL_SUCCESS, type Transport } from './export-request.ts';
import { type Failure, toFailure } from './failure.ts';
import type { CheckCredentials, Credentials } from './ingest-tokens.ts';
import type { MemoryGuard } from './memory-guard.ts';

/** Where the receiver reports what a person should look at; pino fits. */
export interface ReceiverLog {
  error(fields: object, message: string): void;
}

/** Inflated bytes to expect per gzip byte of telemetry; what is admitted must be paid for before it is inflated. */
const GZIP_FACTOR = 12;
/** Charged per request on top of its bytes, so that a flood of tiny requests is bounded too. */
const REQUEST_OVERHEAD_BYTES = 2048;
/** Retry hints are spread over this range, so that refused senders do not all come back at once. */
const RETRY_MS_MIN = 1000;
const RETRY_MS_SPREAD = 4000;
const RETRY_MS_STEP = 617;
/** A bug that hostile input can trigger must not fill the disk with log entries. */
const BUG_LOG_EVERY_MS = 10_000;

export interface GateSettings {
  /** Bytes admitted but not yet durable, both transports together. */
  readonly inFlightBytesMax: number;
  readonly checkCredentials: CheckCredentials;
  readonly memory: MemoryGuard;
  readonly counters: Counters;
  readonly logger: ReceiverLog;
}

/**
 * The one door behind both transports: exports come in, `admit` gets those that credentials, readiness, memory and the
 * byte budget allow; it never looks into them. Every refusal is counted with its reason.
 */
export class Gate {
  readonly #settings: GateSettings;
  readonly #admit: Admit;
  #inFlightBytes = 0;
  #inFlight = 0;
  #notReady: string | undefined;
  #stopping = false;
  #refusals = 0;
  #bugLoggedMs = -Infinity;
  #onIdle: (() => void)[] = [];

  constructor(settings: GateSettings, admit: Admit) {
    this.#settings = settings;
    this.#admit = admit;
  }

  inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** `reason` undefined = ready. */
  setNotReady(reason: string | undefined): void {
    this.#notReady = reason;
  }

  /** Refuses everything from now on; what was admitted goes on. */
  stop(): void {
    this.#stopping = true;
  }

  isStopping(): boolean {
    return this.#stopping;
  }

  /** Resolves once nothing admitted is left without an answer. */
  idle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /**
   * Called when the head of a request is known and nothing of its body has been read.
   *
   * @throws RejectedError for credentials, UnavailableError when there is no room for any body.
   */
  enter(credentials: Credentials): void {
    this.#settings.checkCredentials(credentials);
    this.#refuseWhileClosed();
    if (this.#settings.memory.level() === 'hard') throw this.#overloaded('memory is nearly used up');
    if (this.#inFlightBytes >= this.#settings.inFlightBytesMax) throw this.#overloaded('too much waits to be stored');
  }

  /** Called with a complete request; resolves when it is durable, rejects as `Admit` does or because there is no room. */
  async submit(request: ExportRequest): Promise<ExportAnswer> {
    if (request.bytes.length === 0) return FULL_SUCCESS;
    this.#refuseWhileClosed();
    if (this.#settings.memory.level() !== 'normal') throw this.#overloaded('memory is nearly used up');
    const cost = costBytes(request);
    // An export larger than the whole budget still passes when it is alone: otherwise it would be retried for ever.
    if (this.#inFlight > 0 && this.#inFlightBytes + cost > this.#settings.inFlightBytesMax) {
      throw this.#overloaded('too much waits to be stored');
    }
    this.#inFlightBytes += cost;
    this.#inFlight += 1;
    try {
      return await this.#admit(request);
    } finally {
      this.#inFlightBytes -= cost;
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#becameIdle();
    }
  }

  /** Counts a complete request, whatever becomes of it. */
  countRequest(transport: Transport, bytes: number): void {
    this.#settings.counters.add('requests_total', 1, transport);
    this.#settings.counters.add('received_bytes_total', bytes, transport);
  }

  /** What to answer to `error`; counts it, and logs it when it is a bug. */
  fail(error: unknown): Failure {
    const { counters } = this.#settings;
    if (error instanceof RejectedError) counters.add('requests_rejected_total', 1, error.code);
    else if (error instanceof UnavailableError) counters.add('requests_refused_total', 1, error.code);
    else this.#reportBug(error);
    return toFailure(error);
  }

  #refuseWhileClosed(): void {
    if (this.#stopping) throw new UnavailableError('shutting-down', 'shutting down', this.#retryMs());
    if (this.#notReady !== undefined) throw new UnavailableError('not-ready', this.#notReady, this.#retryMs());
  }

  #overloaded(message: string): UnavailableError {
    return new UnavailableError('overloaded', message, this.#retryMs());
  }

  #retryMs(): number {
    this.#refusals += 1;
    return RETRY_MS_MIN + ((this.#refusals * RETRY_MS_STEP) % (RETRY_MS_SPREAD + 1));
  }

  #becameIdle(): void {
    const waiting = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiting) resolve();
  }

  #reportBug(error: unknown): void {
    this.#settings.counters.add('receive_bugs_total');
    const nowMs = performance.now();
    if (nowMs - this.#bugLoggedMs < BUG_LOG_EVERY_MS) return;
    this.#bugLoggedMs = nowMs;
    this.#settings.logger.error(describeBug(error), 'an export failed because of a bug');
  }
}

function costBytes(request: ExportRequest): number {
  const { bytes, compression, bytesMax } = request;
  const inflated = compression === 'gzip' ? Math.min(bytes.length * GZIP_FACTOR, bytesMax) : bytes.length;
  return inflated + REQUEST_OVERHEAD_BYTES;
}

/** Type and stack frames only: messages of foreign errors (JSON.parse) quote the input, which may be personal. */
function describeBug(error: unknown): object {
  if (!(error instanceof Error)) return { error: typeof error };
  const stack = error.stack ?? '';
  const afterMessage = stack.slice(stack.indexOf(error.message) + error.message.length);
  const frames = afterMessage.split('\n').filter((line) => line.startsWith('    at '));
  return { error: error.name, frames };
}
