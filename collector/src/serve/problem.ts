import type { Problem } from './contract.ts';

/** A request that is not answered as asked; becomes RFC 9457 problem details. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: ProblemCode;
  readonly errors: Problem['errors'];
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    code: ProblemCode,
    detail: string,
    more: { readonly errors?: Problem['errors']; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.name = 'ApiProblem';
    this.code = code;
    this.status = PROBLEMS[code][0];
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }
}

const PROBLEMS = {
  'bad-request': [400, 'The request is malformed'],
  'bad-parameter': [400, 'A parameter is not acceptable'],
  'bad-body': [400, 'The body is not acceptable'],
  unauthenticated: [401, 'A token is needed'],
  'foreign-host': [403, 'This host name is not answered'],
  'foreign-origin': [403, 'Other origins may not change anything'],
  'not-found': [404, 'There is no such thing here'],
  'method-not-allowed': [405, 'This path has no such method'],
  timeout: [408, 'The request took too long'],
  'changed-meanwhile': [412, 'It changed meanwhile'],
  'body-too-large': [413, 'The body is too large'],
  'uri-too-long': [414, 'The path is too long'],
  'unsupported-media-type': [415, 'The body has to be JSON'],
  'headers-too-large': [431, 'The headers are too large'],
  internal: [500, 'Something went wrong here'],
  unavailable: [503, 'Not available just now'],
} as const satisfies Record<string, readonly [status: number, title: string]>;
export type ProblemCode = keyof typeof PROBLEMS;

export const PROBLEM_TYPE = 'application/problem+json';

export function toProblem(error: ApiProblem): Problem {
  const { code, message, errors } = error;
  const [status, title] = PROBLEMS[code];
  return {
    type: `urn:spanwarden:problem:${code}`,
    title,
    status,
    detail: message,
    ...(errors === undefined ? {} : { errors }),
  };
}

/** Status and title of a code. */
export function problemOf(code: ProblemCode): { readonly status: number; readonly title: string } {
  const [status, title] = PROBLEMS[code];
  return { status, title };
}
