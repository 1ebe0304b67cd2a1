/** What the process says with its exit code, the same for every command. */
export const ExitCode = {
  clean: 0,
  findings: 1,
  usage: 2,
  input: 3,
  server: 4,
} as const;

/** Ends the command with a message on stderr and an exit code, without a stack trace. */
export class CommandError extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.name = 'CommandError';
    this.exitCode = exitCode;
  }
}
