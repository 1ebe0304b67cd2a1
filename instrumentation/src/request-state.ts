import type { Span } from '@opentelemetry/api';
import { type ClientAddress, resolveClientAddress } from './client-address.ts';
import { type Credential, readCredential } from './credential.ts';
import type { IdentityFacts } from './principal.ts';
import { RawBody } from './raw-body.ts';
import type { Authz, Principal, SecurityEvent } from './record.ts';
import type { BodyFacts } from './response-profile.ts';
import { type MappedRequest, mapRequest } from './route-mapping.ts';
import type { HttpExchange, Runtime } from './runtime.ts';
import { splitTarget } from './url-scrub.ts';

/** What the response hooks have seen. */
export class ResponseSight {
  readonly body = new RawBody();
  facts: BodyFacts | undefined;
  contentType: string | undefined;
  encoding: string | undefined;
  ended = false;
}

/** What an incoming HTTP request says, read once when it arrives. Raw values: they stay in this process. */
export class IncomingRequest {
  readonly exchange: HttpExchange;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly credential: Credential;
  readonly client: ClientAddress | undefined;
  readonly mapped: MappedRequest;
  readonly response = new ResponseSight();

  constructor(exchange: HttpExchange, runtime: Runtime) {
    const { request } = exchange;
    const { settings } = runtime;
    const { path, query } = splitTarget(request.url ?? '');
    this.exchange = exchange;
    this.method = request.method ?? 'GET';
    this.path = path;
    this.query = query;
    this.credential = readCredential(request, query, settings.carriers);
    this.client = resolveClientAddress(
      request.socket?.remoteAddress,
      joined(request.headers['x-forwarded-for']),
      joined(request.headers['forwarded']),
      settings,
    );
    this.mapped = mapRequest(settings.routes, this.method, path, query);
  }
}

function joined(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' || header === undefined ? header : header.join(',');
}

/**
 * What happens under one local root span: hooks and the code API write it, the span processor turns it into attributes when
 * the span ends. It dies with the span.
 */
export class RequestState {
  readonly span: Span;
  readonly runtime: Runtime;
  /** Absent under spans that serve no HTTP request, such as jobs. */
  readonly http: IncomingRequest | undefined;
  declared: Principal | undefined;
  checked: IdentityFacts['checked'];
  authz: Authz | undefined;
  event: { readonly name: SecurityEvent; readonly outcome: string; readonly subject: string | undefined } | undefined;
  /** The matched route where no OpenTelemetry instrumentation reports it. */
  route: string | undefined;
  /** The framework's own request object, where that is not Node's. */
  framework: object | undefined;
  /** Raw ids by object type, named by the application. */
  readonly objects = new Map<string, string[]>();

  constructor(span: Span, runtime: Runtime, http: IncomingRequest | undefined) {
    this.span = span;
    this.runtime = runtime;
    this.http = http;
  }

  addObjects(type: string, ids: readonly string[]): void {
    const known = this.objects.get(type);
    if (known === undefined) this.objects.set(type, ids.slice(0, IDS_MAX));
    else for (const id of ids) if (known.length < IDS_MAX) known.push(id);
  }
}

/** Raw ids remembered per request and type. */
const IDS_MAX = 10_000;
