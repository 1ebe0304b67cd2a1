import { API_STYLES, EXPOSURES, SEVERITIES, STATUSES } from './contract.ts';
import { parseFindingCursor, parseOperationCursor } from './cursor.ts';
import { ApiProblem } from './problem.ts';

/**
 * Query strings in, typed values out: each parameter has one description, from which both the parser and the OpenAPI
 * document are made. Unknown, repeated and malformed parameters are refused by name, all at once.
 */
export interface Parameter<T> {
  readonly description: string;
  /** JSON Schema of the value. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** Values are separated by commas, or the parameter is repeated. */
  readonly isList: boolean;
  /** Undefined when the text is not acceptable. */
  parse(text: string): T | undefined;
}
export type Parameters = Readonly<Record<string, Parameter<unknown>>>;
export type Parsed<P extends Parameters> = {
  readonly [K in keyof P]?: P[K] extends Parameter<infer T> ? T : never;
};

const TEXT_CHARACTERS = 1024;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 500;
const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

function text(description: string): Parameter<string> {
  return {
    description,
    schema: { type: 'string', minLength: 1, maxLength: TEXT_CHARACTERS },
    isList: false,
    parse: (value) => (value.length >= 1 && value.length <= TEXT_CHARACTERS ? value : undefined),
  };
}

function oneOf<T extends string>(description: string, values: readonly T[]): Parameter<T> {
  return {
    description,
    schema: { type: 'string', enum: values },
    isList: false,
    parse: (value) => values.find((known) => known === value),
  };
}

function someOf(description: string, values: readonly string[] | undefined): Parameter<readonly string[]> {
  const items = values === undefined ? { type: 'string', minLength: 1 } : { type: 'string', enum: values };
  return {
    description,
    schema: { type: 'array', items, minItems: 1 },
    isList: true,
    parse(value) {
      const given = value.split(',');
      const fits = given.every((item) => item !== '' && (values === undefined || values.includes(item)));
      return fits && value.length <= TEXT_CHARACTERS ? given : undefined;
    },
  };
}

function instant(description: string): Parameter<number> {
  return {
    description,
    schema: { type: 'string', format: 'date-time' },
    isList: false,
    parse(value) {
      const ms = RFC_3339.test(value) ? Date.parse(value) : Number.NaN;
      return Number.isNaN(ms) ? undefined : ms * 1000;
    },
  };
}

function cursor<T>(parse: (value: string) => T | undefined): Parameter<T> {
  return { ...text('`nextCursor` of the page before'), parse };
}

const limit: Parameter<number> = {
  description: 'items per page at most',
  schema: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
  isList: false,
  parse(value) {
    const number = /^\d{1,4}$/.test(value) ? Number(value) : 0;
    return number >= 1 && number <= LIMIT_MAX ? number : undefined;
  },
};
export const DEFAULT_LIMIT = LIMIT_DEFAULT;

export const FINDING_PARAMETERS = {
  status: someOf('any of these', STATUSES),
  rule: someOf('ids of rules', undefined),
  severity: someOf('any of these', SEVERITIES),
  principal: text('pseudonym of who asked, exactly'),
  operation: text('entry operation, exactly'),
  since: instant('last seen at or after'),
  until: instant('first seen before'),
  limit,
  cursor: cursor(parseFindingCursor),
};

export const OPERATION_PARAMETERS = {
  service: text('name of the service, exactly'),
  style: oneOf('API style', API_STYLES),
  method: text('HTTP method, exactly'),
  exposure: oneOf('outermost kind of caller', EXPOSURES),
  authn: text('a credential scheme that was seen, `none`, or `not observed`'),
  dataType: text('a data type that was observed, exactly'),
  sensitive: {
    description: 'whether any data type was observed',
    schema: { type: 'boolean' },
    isList: false,
    parse: (value: string) => (value === 'true' ? true : value === 'false' ? false : undefined),
  },
  since: instant('called at or after'),
  until: instant('first called before'),
  limit,
  cursor: cursor(parseOperationCursor),
};

export const CALL_GRAPH_PARAMETERS = {
  since: instant('used at or after'),
  until: instant('first used before'),
  level: oneOf('edges between services, or between operations', ['service', 'operation']),
};

/** @throws ApiProblem naming every parameter that is not acceptable */
export function parseParameters<P extends Parameters>(parameters: P, given: unknown): Parsed<P> {
  const errors: { where: string; message: string }[] = [];
  const parsed = new Map<string, unknown>();
  for (const [name, value] of Object.entries((given ?? {}) as Record<string, string | string[]>)) {
    const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (parameter === undefined) {
      errors.push({
        where: name,
        message: `unknown parameter; known are ${Object.keys(parameters).join(', ') || 'none'}`,
      });
    } else if (Array.isArray(value) && !parameter.isList) {
      errors.push({ where: name, message: 'given more than once' });
    } else {
      const result = parameter.parse(Array.isArray(value) ? value.join(',') : value);
      if (result === undefined) errors.push({ where: name, message: `must be ${describe(parameter)}` });
      else parsed.set(name, result);
    }
  }
  if (errors.length > 0) {
    const detail = errors.map(({ where, message }) => `${where}: ${message}`).join('; ');
    throw new ApiProblem('bad-parameter', detail, { errors });
  }
  return Object.fromEntries(parsed) as Parsed<P>;
}

function describe({ schema, description }: Parameter<unknown>): string {
  const items = schema['items'] as { enum?: readonly string[] } | undefined;
  const choices = (schema['enum'] ?? items?.enum) as readonly string[] | undefined;
  if (choices !== undefined) return `${items === undefined ? 'one' : 'any'} of ${choices.join(', ')}`;
  if (schema['type'] === 'integer') return `a whole number from ${schema['minimum']} to ${schema['maximum']}`;
  if (schema['format'] === 'date-time') return 'an RFC 3339 time such as 2026-01-31T08:00:00Z';
  if (schema['type'] === 'boolean') return 'true or false';
  return `${description}, 1 to ${TEXT_CHARACTERS} characters`;
}
