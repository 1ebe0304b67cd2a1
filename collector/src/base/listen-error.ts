/** A port that cannot be listened on. `code` is the system's: EADDRINUSE, EACCES, EADDRNOTAVAIL, … */
export class ListenError extends Error {
  readonly code: string;
  readonly address: string;
  readonly port: number;
  /** What the port was wanted for, for people: `OTLP/gRPC`. */
  readonly purpose: string;
  constructor(code: string, address: string, port: number, purpose: string, options?: ErrorOptions) {
    super(listenProblem(code, address, port, purpose), options);
    this.name = 'ListenError';
    this.code = code;
    this.address = address;
    this.port = port;
    this.purpose = purpose;
  }
}

function listenProblem(code: string, address: string, port: number, purpose: string): string {
  if (code === 'EADDRINUSE') return `port ${port} (${purpose}) is in use`;
  if (code === 'EACCES') return `port ${port} (${purpose}) needs more rights than this process has`;
  if (code === 'EADDRNOTAVAIL') return `${address} (${purpose}) is not an address of this machine`;
  return `cannot listen on ${address}, port ${port} (${purpose}): ${code}`;
}
