import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Counters } from '../base/counters.ts';
import type { Limits } from '../base/limits.ts';
import type { ExportAnswer } from './export-request.ts';
import { type Failure, GRPC_DEADLINE_EXCEEDED, GRPC_INVALID_ARGUMENT } from './failure.ts';
import type { Gate } from './gate.ts';
import { type HalfOpenLedger, STALLS_PER_REQUEST } from './half-open-ledger.ts';
import { discardBody, readBody, SenderGoneError, tooLarge } from './http-body.ts';
import { type Encoding, parseCompression, parseEncoding, parseSignal, RouteError, toEncoding } from './http-head.ts';
import { listen } from './listen.ts';
import { ignoredWarning, TRACES } from './signals.ts';
import { encodeExportResponse, encodeStatus, toExportResponseJson, toStatusJson } from './wire.ts';

export interface HttpServerSettings {
  readonly address: string;
  readonly port: number;
  readonly limits: Limits;
  readonly connectionsMax: number;
  readonly counters: Counters;
}

export interface HttpServer {
  readonly port: number;
  connections(): Promise<number>;
  /** Stops listening, lets answers in progress go out, closes what is left after `lingerMs`. */
  close(lingerMs: number): Promise<void>;
}

const KEEP_ALIVE_MS = 15_000;

/**
 * OTLP over HTTP: requests come in, bodies go to the gate as they are (gzip too), answers go out in the request's
 * encoding; it never decodes or inflates a body, and never answers a browser.
 *
 * @throws ListenError
 */
export async function openHttpServer(
  settings: HttpServerSettings,
  gate: Gate,
  ledger: HalfOpenLedger,
): Promise<HttpServer> {
  const { limits, counters } = settings;
  const server = createServer({
    requestTimeout: limits.stallMs * STALLS_PER_REQUEST,
    headersTimeout: limits.stallMs,
    connectionsCheckingInterval: Math.ceil(Math.min(1000, limits.stallMs / 4)),
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  server.maxConnections = settings.connectionsMax;
  const answer = createAnswerer(limits, gate, ledger, counters);
  server.on('request', (request, response) => void answer(request, response, false));
  server.on('checkContinue', (request, response) => void answer(request, response, true));
  server.on('drop', () => counters.add('connections_closed_total', 1, 'too-many'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => answerUnreadable(error, socket, counters));
  const port = await listen(server, settings.address, settings.port, 'OTLP/HTTP');
  return {
    port,
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    async close(lingerMs) {
      const closed = new Promise((resolve) => server.close(resolve));
      const timer = setTimeout(() => server.closeAllConnections(), lingerMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

type Answerer = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => Promise<void>;

function createAnswerer(limits: Limits, gate: Gate, ledger: HalfOpenLedger, counters: Counters): Answerer {
  const bytesMax = limits.httpBodyBytesMax;

  const take = async (
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): Promise<ExportAnswer> => {
    const { headers } = request;
    const signal = parseSignal(request);
    const apiKey = headers['x-api-key'];
    gate.enter({ authorization: headers.authorization, apiKey: typeof apiKey === 'string' ? apiKey : undefined });
    const encoding = parseEncoding(headers['content-type']);
    const compression = parseCompression(headers['content-encoding']);
    if (Number(headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax);
    if (expectsContinue) response.writeContinue();
    if (signal !== TRACES) {
      await discardBody(request, bytesMax);
      counters.add('ignored_exports_total', 1, signal.name);
      return { rejectedSpans: 0, message: ignoredWarning(signal) };
    }
    const bytes = await readBody(request, bytesMax, ledger);
    gate.countRequest('http', bytes.length);
    return gate.submit({ bytes, encoding, compression, bytesMax, transport: 'http' });
  };

  return async (request, response, expectsContinue) => {
    const encoding = toEncoding(request.headers['content-type']) ?? 'json';
    // Without listeners a reset in the middle of a request or an answer would end the process.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    if (gate.isStopping()) response.setHeader('connection', 'close');
    try {
      send(
        response,
        200,
        encoding,
        await take(request, response, expectsContinue),
        encodeExportResponse,
        toExportResponseJson,
      );
    } catch (error) {
      if (error instanceof SenderGoneError) return;
      if (expectsContinue) response.setHeader('connection', 'close');
      sendFailure(response, encoding, toHttpFailure(error, gate, counters));
      discardBody(request, bytesMax).catch(() => request.socket.destroy());
    }
  };
}

function toHttpFailure(error: unknown, gate: Gate, counters: Counters): Failure {
  if (!(error instanceof RouteError)) return gate.fail(error);
  counters.add('requests_rejected_total', 1, error.code);
  return error.failure;
}

function sendFailure(response: ServerResponse, encoding: Encoding, failure: Failure): void {
  if (failure.retryAfterMs > 0) response.setHeader('retry-after', Math.ceil(failure.retryAfterMs / 1000));
  if (failure.httpStatus === 405) response.setHeader('allow', 'POST');
  if (failure.httpStatus === 401) response.setHeader('www-authenticate', 'Bearer');
  send(response, failure.httpStatus, encoding, failure, encodeStatus, toStatusJson);
}

function send<T>(
  response: ServerResponse,
  status: number,
  encoding: Encoding,
  message: T,
  toProtobuf: (message: T) => Buffer,
  toJson: (message: T) => object,
): void {
  const body = encoding === 'json' ? Buffer.from(JSON.stringify(toJson(message))) : toProtobuf(message);
  response.writeHead(status, {
    'content-type': encoding === 'json' ? 'application/json' : 'application/x-protobuf',
    'content-length': body.length,
  });
  response.end(body);
}

/** A request that node:http could not read to its end has no encoding; it is answered in JSON. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex, counters: Counters): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const timedOut = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  counters.add('requests_rejected_total', 1, timedOut ? 'too-slow' : 'malformed-http');
  const [status, grpcCode, message] = timedOut
    ? ['408 Request Timeout', GRPC_DEADLINE_EXCEEDED, 'the request took too long']
    : error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', GRPC_INVALID_ARGUMENT, 'the headers are too large']
      : ['400 Bad Request', GRPC_INVALID_ARGUMENT, 'this cannot be read as HTTP/1.1'];
  const body = JSON.stringify({ code: grpcCode, message });
  const head = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
  socket.end(`${head}\r\n\r\n${body}`, () => socket.destroy());
}
