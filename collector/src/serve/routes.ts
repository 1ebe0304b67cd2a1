import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { ApiBackend } from './backend.ts';
import * as contract from './contract.ts';
import { toFindingCursor, toOperationCursor } from './cursor.ts';
import { toMetricsText } from './metrics.ts';
import {
  CALL_GRAPH_PARAMETERS,
  DEFAULT_LIMIT,
  FINDING_PARAMETERS,
  OPERATION_PARAMETERS,
  type Parameters,
  parseParameters,
} from './parameters.ts';
import { ApiProblem, type ProblemCode } from './problem.ts';

/**
 * Requests that were let in come in, answers go out: one row per route, from which the server and the OpenAPI document
 * are both made, so that neither knows a route that the other does not.
 */
export interface Route {
  readonly method: 'GET' | 'PATCH';
  /** As in OpenAPI: `/api/v1/findings/{id}`. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  /** Answers without a token. */
  readonly isOpen: boolean;
  readonly pathParameters: Readonly<Record<string, string>>;
  readonly query: Parameters;
  readonly body?: z.ZodType;
  readonly answers: readonly Answer[];
  /** Problems beside those that any route can have. */
  readonly problems: readonly ProblemCode[];
  /** Conditional requests by revision. */
  readonly hasRevision: boolean;
  handle(request: RouteRequest, backend: ApiBackend): Promise<RouteReply>;
}

export interface Answer {
  readonly status: number;
  readonly description: string;
  /** Absent for an answer that is not JSON. */
  readonly schema?: z.ZodType;
  readonly type: string;
}

export interface RouteRequest {
  readonly path: Readonly<Record<string, string>>;
  readonly query: unknown;
  readonly body: unknown;
  readonly headers: IncomingHttpHeaders;
}

export interface RouteReply {
  readonly status: number;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text as it is; anything else as JSON; undefined for no body. */
  readonly body: unknown;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const TRACE_ID = /^[0-9a-f]{32}$/;

const plain = { pathParameters: {}, query: {}, problems: [], hasRevision: false } as const;
const open = { ...plain, method: 'GET', isOpen: true } as const;
const guarded = { ...plain, method: 'GET', isOpen: false } as const;

const json = (body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): RouteReply => ({
  status,
  type: JSON_TYPE,
  headers,
  body,
});
const ok = (schema: z.ZodType, description: string): Answer => ({ status: 200, description, schema, type: JSON_TYPE });

/** @param document the OpenAPI document, which is made from these very routes */
export function toRoutes(document: () => unknown): readonly Route[] {
  return [
    {
      ...open,
      path: '/',
      operationId: 'index',
      summary: 'Where to go from here.',
      answers: [ok(contract.indexView, 'links')],
      handle: async () => json(INDEX),
    },
    {
      ...open,
      path: '/healthz',
      operationId: 'healthz',
      summary: 'Whether the process lives.',
      answers: [ok(contract.healthView, 'it lives')],
      handle: async () => json({ status: 'ok' }),
    },
    {
      ...open,
      path: '/readyz',
      operationId: 'readyz',
      summary: 'Whether spans are accepted, and why not.',
      answers: [
        ok(contract.readinessView, 'ready'),
        { status: 503, description: 'not ready', schema: contract.readinessView, type: JSON_TYPE },
      ],
      handle: async (_request, backend) => {
        const { ready, reasons } = backend.readiness();
        return json({ status: ready ? 'ready' : 'not ready', reasons }, ready ? 200 : 503);
      },
    },
    {
      ...open,
      path: '/metrics',
      operationId: 'metrics',
      summary: 'Counters and gauges in the Prometheus text format.',
      answers: [{ status: 200, description: 'metrics', type: METRICS_TYPE }],
      handle: async (_request, backend) => ({
        status: 200,
        type: METRICS_TYPE,
        body: await toMetricsText(await backend.metrics()),
      }),
    },
    {
      ...guarded,
      path: '/api/v1/findings',
      operationId: 'listFindings',
      summary: 'Findings, latest first seen first.',
      query: FINDING_PARAMETERS,
      answers: [ok(contract.findingPage, 'a page of findings')],
      handle: async ({ query }, backend) => {
        const { since, until, limit, cursor, ...filters } = parseParameters(FINDING_PARAMETERS, query);
        const interval = { sinceUs: since, untilUs: until };
        const page = await backend.findings({ ...filters, ...interval, limit: limit ?? DEFAULT_LIMIT, after: cursor });
        return json({ items: page.items, nextCursor: page.next === undefined ? null : toFindingCursor(page.next) });
      },
    },
    {
      ...guarded,
      path: '/api/v1/findings/{id}',
      operationId: 'showFinding',
      summary: 'One finding with its evidence.',
      pathParameters: { id: 'id (`F-…`) or fingerprint' },
      answers: [
        ok(contract.findingDetail, 'the finding'),
        { status: 304, description: 'unchanged since the revision in If-None-Match', type: '' },
      ],
      problems: ['not-found'],
      hasRevision: true,
      handle: async ({ path, query, headers }, backend) => {
        parseParameters({}, query);
        const finding = await backend.finding(path['id']!);
        if (finding === undefined) throw noFinding(path['id']!);
        const etag = toEtag(finding.revision);
        if (isCached(headers['if-none-match'], etag))
          return { status: 304, type: '', headers: { etag }, body: undefined };
        return json(finding, 200, { etag });
      },
    },
    {
      ...plain,
      method: 'PATCH',
      isOpen: false,
      path: '/api/v1/findings/{id}',
      operationId: 'triageFinding',
      summary: 'Changes the status of a finding; with If-Match only if nobody changed it meanwhile.',
      pathParameters: { id: 'id (`F-…`) or fingerprint' },
      body: contract.findingPatch,
      answers: [ok(contract.findingDetail, 'the changed finding')],
      problems: [
        'bad-body',
        'not-found',
        'changed-meanwhile',
        'body-too-large',
        'unsupported-media-type',
        'foreign-origin',
      ],
      hasRevision: true,
      handle: async ({ path, query, body, headers }, backend) => {
        parseParameters({}, query);
        const id = path['id']!;
        const patch = parseBody(contract.findingPatch, body);
        const result = await backend.patchFinding(id, patch, toRevision(headers['if-match']));
        if (result.outcome === 'not-found') throw noFinding(id);
        if (result.outcome === 'conflict') {
          throw new ApiProblem('changed-meanwhile', `the finding is at revision ${result.revision}: read it again`, {
            headers: { etag: toEtag(result.revision) },
          });
        }
        return json(result.finding, 200, { etag: toEtag(result.finding.revision) });
      },
    },
    {
      ...guarded,
      path: '/api/v1/operations',
      operationId: 'listOperations',
      summary: 'The inventory: every operation that was called, by service and route.',
      query: OPERATION_PARAMETERS,
      answers: [ok(contract.operationPage, 'a page of operations')],
      handle: async ({ query }, backend) => {
        const { since, until, limit, cursor, ...filters } = parseParameters(OPERATION_PARAMETERS, query);
        const interval = { sinceUs: since, untilUs: until };
        const page = await backend.operations({
          ...filters,
          ...interval,
          limit: limit ?? DEFAULT_LIMIT,
          after: cursor,
        });
        return json({ items: page.items, nextCursor: page.next === undefined ? null : toOperationCursor(page.next) });
      },
    },
    {
      ...guarded,
      path: '/api/v1/call-graph',
      operationId: 'showCallGraph',
      summary: 'All call paths merged: edges between services and between operations.',
      query: CALL_GRAPH_PARAMETERS,
      answers: [ok(contract.callGraphView, 'nodes and edges')],
      handle: async ({ query }, backend) => {
        const { since, until, level } = parseParameters(CALL_GRAPH_PARAMETERS, query);
        return json(await backend.callGraph({ sinceUs: since, untilUs: until, level }));
      },
    },
    {
      ...guarded,
      path: '/api/v1/traces/{traceId}',
      operationId: 'showTrace',
      summary: 'The spans of one trace, as they were stored, and its call paths.',
      pathParameters: { traceId: '32 lower-case hex digits' },
      answers: [ok(contract.traceView, 'the trace')],
      problems: ['not-found'],
      handle: async ({ path, query }, backend) => {
        parseParameters({}, query);
        const traceId = path['traceId']!;
        if (!TRACE_ID.test(traceId)) throw new ApiProblem('bad-parameter', 'traceId: must be 32 lower-case hex digits');
        const trace = await backend.trace(traceId);
        if (trace === undefined) throw new ApiProblem('not-found', `no trace ${traceId} is stored`);
        return json(trace);
      },
    },
    {
      ...guarded,
      path: '/api/v1/openapi.json',
      operationId: 'openapi',
      summary: 'This description.',
      answers: [{ status: 200, description: 'OpenAPI 3.1 document', type: JSON_TYPE }],
      handle: async () => json(document()),
    },
  ];
}

const INDEX = {
  name: 'spanwarden',
  links: {
    api: '/api/v1/openapi.json',
    findings: '/api/v1/findings',
    operations: '/api/v1/operations',
    callGraph: '/api/v1/call-graph',
    metrics: '/metrics',
    health: '/healthz',
    readiness: '/readyz',
  },
};

const ID_SHOWN = 80;
const noFinding = (id: string): ApiProblem =>
  new ApiProblem('not-found', `there is no finding ${id.slice(0, ID_SHOWN)}`);

const toEtag = (revision: number): string => `"${revision}"`;

function isCached(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()));
}

/** The revision that If-Match insists on; undefined when any will do. @throws ApiProblem for other forms */
function toRevision(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const revision = /^"(\d{1,15})"$/.exec(header.trim())?.[1];
  if (revision === undefined) {
    throw new ApiProblem('bad-request', 'If-Match: must be one ETag as it was given, such as "3", or *');
  }
  return Number(revision);
}

function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const errors = result.error.issues.map(({ path, message }) => ({ where: path.join('.'), message }));
  const detail = errors.map(({ where, message }) => (where === '' ? message : `${where}: ${message}`)).join('; ');
  throw new ApiProblem('bad-body', detail, { errors });
}
