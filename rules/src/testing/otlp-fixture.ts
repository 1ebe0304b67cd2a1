import { readFileSync } from 'node:fs';
import { type CallPath, callPathOf, type SignalName, type SpanKind, type SpanSketch, type Value } from '../index.ts';

/**
 * Fixtures as call paths, for this package's own tests: a small stand-in for the collector, which runs the same fixtures
 * through its real stages. Only what the fixtures need is derived here, and simply.
 */

interface WireAttribute {
  readonly key: string;
  readonly value: WireValue;
}
interface WireValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values: readonly WireValue[] };
}
interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly WireAttribute[];
  readonly status: { readonly code?: number };
}
export interface WireExport {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly WireAttribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

interface Row {
  readonly span: WireSpan;
  readonly service: string;
  readonly host: string;
  readonly signals: readonly SignalName[];
  readonly attributes: Record<string, Value>;
  readonly children: Row[];
  parent: Row | undefined;
}

const KINDS: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const CLASSES: Readonly<Record<string, string>> = {
  email: 'pii',
  phone: 'pii',
  date_of_birth: 'pii',
  payment_card: 'pci',
  diagnosis: 'phi',
  password: 'secret',
};

/**
 * Call paths of one OTLP JSON file.
 * @param change what to do to it first @throws Error when it cannot be read
 */
export function readCallPaths(file: string, change = (wire: WireExport): WireExport => wire): readonly CallPath[] {
  const rows = toRows(change(JSON.parse(readFileSync(file, 'utf8')) as WireExport));
  const byId = new Map(rows.map((row) => [row.span.spanId, row]));
  for (const row of rows) {
    row.parent = byId.get(row.span.parentSpanId ?? '');
    row.parent?.children.push(row);
  }
  return rows.filter((row) => row.parent === undefined).map((root) => toCallPath(root, rows));
}

/** What a stock exporter would have sent of the same calls. */
export function stripOurs(wire: WireExport): WireExport {
  const isStock = ({ key }: WireAttribute): boolean => !/^(apisec|user|session)\./.test(key);
  return {
    resourceSpans: wire.resourceSpans.map(({ resource, scopeSpans }) => ({
      resource: { attributes: resource.attributes.filter(isStock) },
      scopeSpans: scopeSpans.map(({ spans }) => ({
        spans: spans.map((span) => ({ ...span, attributes: span.attributes.filter(isStock) })),
      })),
    })),
  };
}

function toRows(wire: WireExport): Row[] {
  return wire.resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const facts = toAttributes(resource.attributes);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span): Row => {
        const attributes = toAttributes(span.attributes);
        return {
          span,
          service: String(facts['service.name']),
          host: String(facts['host.name']),
          signals: attributes['apisec.version'] === undefined ? [] : ((facts['apisec.signals'] ?? []) as SignalName[]),
          attributes,
          children: [],
          parent: undefined,
        };
      }),
    );
  });
}

function toAttributes(attributes: readonly WireAttribute[]): Record<string, Value> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, toValue(value)]));
}

function toValue(value: WireValue): Value {
  if (value.arrayValue !== undefined) {
    return value.arrayValue.values.map((element) => toValue(element) as string);
  }
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? Number(value.intValue);
}

function toCallPath(root: Row, rows: readonly Row[]): CallPath {
  const startMs = Number(BigInt(root.span.startTimeUnixNano) / 1000n) / 1000;
  const isRootKnown = root.span.parentSpanId === undefined || root.attributes['apisec.edge'] === true;
  const answered = new Set(rows.filter((row) => row.children.some(isServer)).map(hostOf));
  const isAnswerMissing = rows.some(
    (row) => KINDS[row.span.kind] === 'client' && row.children.length === 0 && answered.has(hostOf(row)),
  );
  return callPathOf(toSketch(root, startMs), {
    atUs: startMs * 1000,
    completeness: { complete: isRootKnown && !isAnswerMissing },
  });
}

function hostOf({ attributes }: Row): string {
  return `${attributes['server.address']}:${attributes['server.port']}`;
}

function isServer({ span }: Row): boolean {
  return KINDS[span.kind] === 'server';
}

function toSketch(row: Row, baseMs: number): SpanSketch {
  const { span, service, host, signals } = row;
  const ms = (nanos: string): number => Number(BigInt(nanos) / 1000n) / 1000 - baseMs;
  return {
    service,
    kind: KINDS[span.kind]!,
    name: span.name,
    status: span.status.code === 2 ? 'error' : 'unset',
    start: ms(span.startTimeUnixNano),
    end: ms(span.endTimeUnixNano),
    clock: host,
    signals,
    attributes: { ...row.attributes, ...derive(row) },
    children: row.children.map((child) => toSketch(child, baseMs)),
  };
}

function derive(row: Row): Record<string, Value> {
  const { attributes, parent } = row;
  const derived: Record<string, Value> = { ...classes(row), 'apisec.outcome': outcome(row) };
  const principal = principalOf(row);
  if (principal !== undefined) {
    derived['apisec.principal.id'] = principal;
  }
  if (!isServer(row)) {
    return derived;
  }
  const operation = `${attributes['http.request.method']} ${attributes['http.route']}`;
  derived['apisec.operation'] = operation;
  derived['apisec.endpoint'] = `${row.service} ${operation}`;
  derived['apisec.entry'] = serverAbove(row) === undefined;
  if (parent !== undefined) {
    derived['apisec.caller.service'] = parent.service;
    derived['apisec.identity'] = identity(row, serverAbove(row));
  }
  const exposure = exposureOf(row);
  if (exposure !== undefined) {
    derived['apisec.exposure'] = exposure;
  }
  return derived;
}

function outcome({ attributes, span }: Row): string {
  const status = Number(attributes['http.response.status_code'] ?? (span.status.code === 2 ? 500 : 200));
  if (status === 401 || status === 403) {
    return 'denied';
  }
  return status === 404 ? 'missing' : status >= 400 ? 'failed' : 'success';
}

function classes({ attributes }: Row): Record<string, Value> {
  const derived: Record<string, Value> = {};
  for (const direction of ['request', 'response', 'egress']) {
    const prefix = `apisec.${direction}.data.`;
    const types = Object.keys(attributes).flatMap((key) => (key.startsWith(prefix) ? key.slice(prefix.length) : []));
    if (types.length > 0) {
      derived[`apisec.${direction}.data_types`] = types;
      derived[`apisec.${direction}.data_classes`] = [...new Set(types.map((type) => CLASSES[type]!))];
    }
  }
  return derived;
}

function principalOf(row: Row | undefined): string | undefined {
  const own = row?.attributes['user.hash'];
  if (row === undefined || typeof own === 'string') {
    return own as string | undefined;
  }
  const client = row.parent === undefined ? row.attributes['client.address'] : undefined;
  return client === undefined ? principalOf(row.parent) : `client:${client}`;
}

function exposureOf({ attributes, parent }: Row): string | undefined {
  if (typeof attributes['apisec.edge'] === 'boolean') {
    return attributes['apisec.edge'] ? 'external' : 'internal';
  }
  if (parent !== undefined) {
    return 'internal';
  }
  const address = String(attributes['client.address'] ?? attributes['network.peer.address'] ?? '');
  const isPublic = attributes['apisec.client.public'] ?? (address === '' ? undefined : !/^(10|127)\./.test(address));
  return isPublic === undefined ? undefined : isPublic ? 'external' : 'internal';
}

function identity(row: Row, above: Row | undefined): string {
  const up = above?.attributes;
  const down = row.attributes;
  if (up?.['user.hash'] === undefined || down['user.hash'] === undefined) {
    return 'unknown';
  }
  if (down['apisec.principal.actor'] !== undefined) {
    return 'exchanged';
  }
  const isSame = up['user.hash'] === down['user.hash'];
  return isSame ? 'propagated' : 'changed_subject';
}

function serverAbove(row: Row): Row | undefined {
  const { parent } = row;
  return parent === undefined || isServer(parent) ? parent : serverAbove(parent);
}
