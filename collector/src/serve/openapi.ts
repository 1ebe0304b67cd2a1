import { z } from 'zod';
import * as contract from './contract.ts';
import { PROBLEM_TYPE, type ProblemCode, problemOf } from './problem.ts';
import { type Route, toRoutes } from './routes.ts';

/** Routes in, their OpenAPI 3.1 description out. */

const SCHEMAS = {
  FindingView: contract.findingView,
  FindingDetail: contract.findingDetail,
  FindingPage: contract.findingPage,
  FindingPatch: contract.findingPatch,
  OperationView: contract.operationView,
  OperationPage: contract.operationPage,
  CallGraphView: contract.callGraphView,
  TraceView: contract.traceView,
  ReadinessView: contract.readinessView,
  HealthView: contract.healthView,
  IndexView: contract.indexView,
  Problem: contract.problem,
} as const;

type JsonObject = { readonly [key: string]: unknown };
const REFERENCE = '#/components/schemas/';

export function toOpenApi(routes: readonly Route[]): JsonObject {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = toOperation(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Spanwarden',
      version: '1',
      description:
        'Findings, inventory, call graph and traces of a Spanwarden collector. Times are RFC 3339 UTC with milliseconds unless a name says UnixUs; ids are lower-case hex; an unknown value is null, never false.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'the console token' } },
      schemas: toSchemas(),
    },
  };
}

/** The document of this version's routes. */
export function createDocument(): JsonObject {
  const document: JsonObject = toOpenApi(toRoutes(() => document));
  return document;
}

function toSchemas(): JsonObject {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    uri: (id) => `${REFERENCE}${id}`,
    io: 'input',
    // `readonly` is about our own code; to a client it would say that a value cannot be sent.
    override: ({ jsonSchema }) => {
      delete jsonSchema.readOnly;
    },
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => {
      const { $schema: _dialect, $id: _id, ...rest } = schema;
      return [id, rest];
    }),
  );
}

function toOperation(route: Route): JsonObject {
  const parameters = [...toPathParameters(route), ...toQueryParameters(route), ...toHeaderParameters(route)];
  return {
    operationId: route.operationId,
    summary: route.summary,
    security: route.isOpen ? [] : [{ token: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: reference(route.body) } } } }),
    responses: Object.fromEntries(
      [...toAnswers(route), ...toProblems(route)].sort(([a], [b]) => Number(a) - Number(b)),
    ),
  };
}

function toPathParameters({ pathParameters }: Route): JsonObject[] {
  return Object.entries(pathParameters).map(([name, description]) => ({
    name,
    in: 'path',
    required: true,
    description,
    schema: { type: 'string' },
  }));
}

function toQueryParameters({ query }: Route): JsonObject[] {
  return Object.entries(query).map(([name, { description, schema, isList }]) => ({
    name,
    in: 'query',
    description,
    schema,
    ...(isList ? { style: 'form', explode: false } : {}),
  }));
}

function toHeaderParameters({ hasRevision, method }: Route): JsonObject[] {
  if (!hasRevision) return [];
  const name = method === 'GET' ? 'If-None-Match' : 'If-Match';
  return [{ name, in: 'header', description: 'ETag of an earlier answer', schema: { type: 'string' } }];
}

function toAnswers({ answers, hasRevision }: Route): [string, JsonObject][] {
  return answers.map(({ status, description, schema, type }) => {
    const [mediaType] = type.split(';');
    const content =
      type === '' ? {} : { content: { [mediaType!]: { schema: schema === undefined ? {} : reference(schema) } } };
    const headers = hasRevision ? { headers: { ETag: { schema: { type: 'string' } } } } : {};
    return [String(status), { description, ...headers, ...content }];
  });
}

/** Problems that a route can answer with, one entry per status. */
function toProblems({ isOpen, query, problems, answers }: Route): [string, JsonObject][] {
  const codes: ProblemCode[] = [...problems, 'foreign-host', 'internal', 'unavailable'];
  if (!isOpen) codes.push('unauthenticated', 'bad-request');
  if (Object.keys(query).length > 0) codes.push('bad-parameter');
  const byStatus = new Map<number, string[]>();
  for (const code of codes) {
    const { status } = problemOf(code);
    if (answers.some((answer) => answer.status === status)) continue;
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return [...byStatus].map(([status, named]) => [
    String(status),
    {
      description: named.sort().join(', '),
      content: { [PROBLEM_TYPE]: { schema: reference(contract.problem) } },
    },
  ]);
}

function reference(schema: z.ZodType): JsonObject {
  const name = Object.entries(SCHEMAS).find(([, known]) => known === schema)?.[0];
  if (name === undefined) throw new Error('a route uses a schema that the OpenAPI document does not name');
  return { $ref: REFERENCE + name };
}
