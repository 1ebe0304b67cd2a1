import type { Socket } from 'node:net';
import { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { UnavailableError } from '../base/errors.ts';
import { ListenError } from '../base/listen-error.ts';
import type { Secret } from '../base/secret.ts';
import type { ApiBackend } from './backend.ts';
import { checkJsonType, createGuard, type Guard, SECURITY_HEADERS } from './guard.ts';
import { createDocument } from './openapi.ts';
import { ApiProblem, PROBLEM_TYPE, type ProblemCode, toProblem } from './problem.ts';
import { type Route, type RouteReply, toRoutes } from './routes.ts';

export type { ApiBackend } from './backend.ts';

/**
 * HTTP requests in, answers of the REST contract out. It keeps no data of its own and sees none but what its backend
 * gives; every request passes the guard before anything of it is read.
 */
export interface Api {
  /** The port listened on, also when 0 was asked for. */
  readonly port: number;
  /** Finishes what is being answered, for a while, then closes every connection. */
  stop(): Promise<void>;
}

export interface ApiSettings {
  readonly address: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly token: Secret;
  /** Host header names that are answered besides loopback ones and `address`. */
  readonly allowedHosts?: readonly string[];
  /** Told of each error that is nobody's fault but ours. */
  readonly onError?: (error: unknown) => void;
}

const MIB = 1024 * 1024;
const BODY_BYTES_MAX = MIB;
const REQUEST_MS = 30_000;
const HEADERS_MS = 10_000;
const KEEP_ALIVE_MS = 15_000;
const CHECK_MS = 1_000;
const CONNECTIONS_MAX = 1024;
const STOP_MS = 5_000;
/** A fingerprint has 67 characters. */
const PATH_PARAMETER_CHARACTERS = 256;

/** @throws ListenError when the port cannot be had */
export async function createApi(settings: ApiSettings, backend: ApiBackend): Promise<Api> {
  const guard = createGuard({ ...settings, allowedHosts: settings.allowedHosts ?? [] });
  const document = createDocument();
  const routes = toRoutes(() => document);
  const onError = settings.onError ?? (() => undefined);
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { headersTimeout: HEADERS_MS, connectionsCheckingInterval: CHECK_MS },
    routerOptions: { maxParamLength: PATH_PARAMETER_CHARACTERS },
    forceCloseConnections: 'idle',
    // What still comes while we stop is answered like any other request, with all headers.
    return503OnClosing: false,
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, _request, reply) => void answerProblem(reply, error, onError),
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));
  app.addHook('onRequest', async (request, reply) => admit(request, reply, guard, routes));
  app.setErrorHandler((error: FastifyError, _request, reply) => answerProblem(reply, error, onError));
  for (const route of routes) addRoute(app, route, backend);
  try {
    await app.listen({ host: settings.address, port: settings.port });
  } catch (error) {
    await app.close();
    throw toListenError(error, settings);
  }
  return { port: portOf(app), stop: () => stop(app) };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers without a token. */
    readonly isOpen?: boolean;
  }
}

/** Order matters: who may ask comes before what is asked, so that a stranger learns nothing about paths. */
async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  guard: Guard,
  routes: readonly Route[],
): Promise<void> {
  const { method, headers } = request;
  reply.headers(SECURITY_HEADERS);
  guard.checkHost(headers);
  guard.checkOrigin(method, headers);
  if (request.routeOptions.config.isOpen !== true) guard.checkToken(headers);
  if (request.is404) throw notFound(request, routes);
  if (method === 'PATCH') checkJsonType(headers);
}

function notFound({ url, method }: FastifyRequest, routes: readonly Route[]): ApiProblem {
  const path = url.split('?', 1)[0]!;
  const allowed = routes.filter((route) => toPattern(route.path).test(path)).map((route) => route.method);
  if (allowed.length === 0)
    return new ApiProblem('not-found', 'there is nothing at this path: see /api/v1/openapi.json');
  const allow = [...new Set(allowed.flatMap((known) => (known === 'GET' ? ['GET', 'HEAD'] : [known])))].join(', ');
  return new ApiProblem('method-not-allowed', `${method} is not one of ${allow}`, { headers: { allow } });
}

const toPattern = (path: string): RegExp => new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`);

function addRoute(app: FastifyInstance, route: Route, backend: ApiBackend): void {
  app.route({
    method: route.method,
    url: route.path.replace(/\{(\w+)\}/g, ':$1'),
    config: { isOpen: route.isOpen },
    handler: async (request, reply) => {
      const { params, query, body, headers } = request;
      const answer = await route.handle({ path: params as Record<string, string>, query, body, headers }, backend);
      return send(reply, answer);
    },
  });
}

function send(reply: FastifyReply, { status, type, headers = {}, body }: RouteReply): FastifyReply {
  reply.code(status).headers(headers);
  if (type !== '') reply.type(type);
  return reply.send(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
}

function answerProblem(reply: FastifyReply, error: unknown, onError: (error: unknown) => void): FastifyReply {
  const known = toApiProblem(error);
  if (known.code === 'internal') onError(error);
  return reply
    .headers({ ...SECURITY_HEADERS, ...known.headers })
    .code(known.status)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(toProblem(known)));
}

/** What fastify calls the errors that a client causes. */
const FASTIFY_PROBLEMS: Readonly<Record<string, readonly [code: ProblemCode, detail: string]>> = {
  FST_ERR_BAD_URL: ['bad-request', 'the path is not percent-encoded UTF-8'],
  FST_ERR_MAX_PARAM_LENGTH: [
    'uri-too-long',
    `a part of the path has more than ${PATH_PARAMETER_CHARACTERS} characters`,
  ],
  FST_ERR_CTP_BODY_TOO_LARGE: ['body-too-large', `a body has at most ${BODY_BYTES_MAX} bytes`],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported-media-type', 'send the body as `content-type: application/json`'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['bad-request', 'the body is not as long as its content-length says'],
};

function toApiProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  if (error instanceof UnavailableError) {
    const retryAfter = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
    return new ApiProblem('unavailable', error.message, { headers: { 'retry-after': retryAfter } });
  }
  const { code, statusCode } = error as Partial<FastifyError>;
  const known = code === undefined ? undefined : FASTIFY_PROBLEMS[code];
  if (known !== undefined) return new ApiProblem(...known);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiProblem('bad-body', 'the body is not JSON, or has keys that no object here has');
  }
  return new ApiProblem('internal', 'the collector logged what happened');
}

const BROKEN: Readonly<Record<string, readonly [code: ProblemCode, detail: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['timeout', `a request has to be complete within ${REQUEST_MS / 1000} seconds`],
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'the headers are larger than 16 KiB'],
};

/** Bytes that are no HTTP request get an answer like any other. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, detail] = BROKEN[error.code ?? ''] ?? (['bad-request', 'this is not an HTTP request'] as const);
  const problem = toProblem(new ApiProblem(code, detail));
  const body = JSON.stringify(problem);
  const headers = {
    ...SECURITY_HEADERS,
    'content-type': PROBLEM_TYPE,
    'content-length': String(Buffer.byteLength(body)),
  };
  const lines = Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('the API listens on no port');
  return address.port;
}

async function stop(app: FastifyInstance): Promise<void> {
  const force = setTimeout(() => app.server.closeAllConnections(), STOP_MS);
  try {
    await app.close();
  } finally {
    clearTimeout(force);
  }
}

/** What keeps the API from its port as a `ListenError`; anything else as it is. */
function toListenError(
  error: unknown,
  { address, port }: { readonly address: string; readonly port: number },
): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || (syscall !== 'listen' && syscall !== 'getaddrinfo')) return error;
  return new ListenError(code, address, port, 'console, REST and metrics', { cause: error });
}
