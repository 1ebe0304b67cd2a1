/** The log cannot be opened as it must be; the message says what to do. Raised at start only. */
export class LogOpenError extends Error {
  /** Stable: locked, not-writable, missing, newer-format, not-durable. */
  readonly code: LogOpenCode;
  constructor(code: LogOpenCode, message: string) {
    super(message);
    this.name = 'LogOpenError';
    this.code = code;
  }
}
export type LogOpenCode = 'locked' | 'not-writable' | 'missing' | 'newer-format' | 'not-durable';
