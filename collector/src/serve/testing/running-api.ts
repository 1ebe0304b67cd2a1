import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoreDelta } from '../../base/outcome.ts';
import { Secret } from '../../base/secret.ts';
import { openStoreReader, type StoreReader } from '../../store/reader.ts';
import { openStore, type Store } from '../../store/store.ts';
import { type Api, type ApiBackend, type ApiSettings, createApi } from '../api.ts';
import type { TraceView } from '../contract.ts';

/** The API on a real port over a real store, and a client that can send what a browser cannot. */

export const TOKEN = 'a-token-of-the-tests-0123456789';
export const TRACE: TraceView = {
  traceId: '0'.repeat(31).concat('1'),
  revision: 1,
  completeness: { complete: true, score: 1, reasons: [], missingParents: 0, missingAnswers: 0, droppedSpans: 0 },
  spans: [
    {
      spanId: '0000000000000001',
      parentSpanId: '',
      service: 'accounts',
      kind: 'server',
      name: 'GET /v1/{id}',
      startUnixUs: 1_767_600_000_000_000,
      durationUs: 1200,
      status: 'unset',
      attributes: { 'http.request.method': 'GET', 'apisec.object.count': 2, 'user.roles': ['admin'] },
    },
  ],
  callPaths: [
    {
      entrySpanId: '0000000000000001',
      completeness: { complete: true, score: 1, reasons: [], missingParents: 0, missingAnswers: 0, droppedSpans: 0 },
      hops: [
        {
          spanId: '0000000000000001',
          parentSpanId: '',
          depth: 0,
          service: 'accounts',
          operation: 'GET /v1/{id}',
          principal: null,
        },
      ],
    },
  ],
};

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Null sends none. */
  readonly token?: string | null;
}

export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** @throws SyntaxError when the body is not JSON */
  json(): unknown;
}

export interface RunningApi {
  readonly api: Api;
  readonly store: Store;
  readonly reader: StoreReader;
  readonly errors: unknown[];
  send(path: string, sent?: Sent): Promise<Received>;
  /** Sends bytes as they are and gives what comes back until the server closes. */
  sendRaw(bytes: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startApi(
  deltas: readonly StoreDelta[],
  change: { readonly backend?: Partial<ApiBackend>; readonly settings?: Partial<ApiSettings> } = {},
): Promise<RunningApi> {
  const directory = mkdtempSync(join(tmpdir(), 'spanwarden-api-'));
  const store = openStore(directory, { now: () => 1_767_600_000_000_000 });
  for (const delta of deltas) store.apply(delta);
  const reader = openStoreReader(directory, {});
  const errors: unknown[] = [];
  const backend: ApiBackend = {
    findings: async (query) => reader.findings(query),
    finding: async (id) => reader.finding(id),
    patchFinding: async (id, patch, ifRevision) => store.setFindingStatus(id, patch, ifRevision),
    operations: async (query) => reader.operations(query),
    callGraph: async (query) => reader.callGraph(query),
    trace: async (traceId) => (traceId === TRACE.traceId ? TRACE : undefined),
    readiness: () => ({ ready: true, reasons: [] }),
    metrics: async () =>
      reader.counts().findingsByRule.map(([rule, count]) => ['findings_total', rule, count] as const),
    ...change.backend,
  };
  const settings = {
    address: '127.0.0.1',
    port: 0,
    token: new Secret(TOKEN),
    onError: (error: unknown) => errors.push(error),
  };
  const api = await createApi({ ...settings, ...change.settings }, backend);
  return {
    api,
    store,
    reader,
    errors,
    send: (path, sent) => send(api.port, path, sent),
    sendRaw: (bytes) => sendRaw(api.port, bytes),
    async stop() {
      await api.stop();
      reader.close();
      store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function send(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body, token = TOKEN }: Sent = {},
): Promise<Received> {
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const sent = request(
      { agent: false, host: '127.0.0.1', port, path, method, headers: { ...authorization, ...headers } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            text,
            json: () => JSON.parse(text) as unknown,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function sendRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}
