const PURPOSE = 'console, REST and metrics';

/** The port of the API cannot be listened on. `code` is the system's: EADDRINUSE, EACCES, EADDRNOTAVAIL, … */
export class ListenError extends Error {
  readonly code: string;
  readonly address: string;
  readonly port: number;
  /** What the port was wanted for, for people. */
  readonly purpose = PURPOSE;
  constructor(code: string, address: string, port: number, options?: ErrorOptions) {
    super(listenProblem(code, address, port), options);
    this.name = 'ListenError';
    this.code = code;
    this.address = address;
    this.port = port;
  }
}

function listenProblem(code: string, address: string, port: number): string {
  if (code === 'EADDRINUSE') return `port ${port} (${PURPOSE}) is in use`;
  if (code === 'EACCES') return `port ${port} (${PURPOSE}) needs more rights than this process has`;
  if (code === 'EADDRNOTAVAIL') return `${address} (${PURPOSE}) is not an address of this machine`;
  return `cannot listen on ${address}, port ${port} (${PURPOSE}): ${code}`;
}

export function toListenError(
  error: unknown,
  { address, port }: { readonly address: string; readonly port: number },
): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || (syscall !== 'listen' && syscall !== 'getaddrinfo')) return error;
  return new ListenError(code, address, port, { cause: error });
}
