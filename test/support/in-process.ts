import { copyRows, type SpanBatch, traceIdHex } from 'spanwarden/internal/base/batch';
import { Counters } from 'spanwarden/internal/base/counters';
import { DEFAULT_LIMITS } from 'spanwarden/internal/base/limits';
import { createPseudonym } from 'spanwarden/internal/base/pseudonym';
import { Secret } from 'spanwarden/internal/base/secret';
import { loadRules } from 'spanwarden/internal/catalog';
import { parseConfig, toEstate } from 'spanwarden/internal/config';
import { createPipeline, type Pipeline } from 'spanwarden/internal/pipeline';
import { openMemoryStore } from 'spanwarden/internal/store/store';

/** The whole collector less its sockets, threads and disk: every stage and the store's SQL, under the test's own clock. */
export interface InProcessCollector {
  readonly pipeline: Pipeline;
  readonly counters: Counters;
  /** One export, received at `receivedUs`. Conclusions reach the store at the next `checkpoint`. */
  send(bytes: Uint8Array, encoding: 'protobuf' | 'json', receivedUs: number): void;
  checkpoint(): void;
  /** Closes everything and says what the store holds, less what depends on how spans arrived. */
  finish(): unknown;
}

const config = parseConfig({});
const ruleSet = loadRules(config);

export function createInProcessCollector(): InProcessCollector {
  const counters = new Counters();
  const { store, reader } = openMemoryStore({ assembleIdleMs: DEFAULT_LIMITS.assembleIdleMs });
  const stored: { readonly offset: number; readonly batch: SpanBatch }[] = [];
  const marks = new Map<string, { revision: number; closedBy: 'idle' | 'cap' | 'limit' }>();
  const pipeline = createPipeline({
    limits: DEFAULT_LIMITS,
    time: 'event',
    clientAddress: 'prefix',
    pseudonym: createPseudonym(new Secret('0123456789abcdef0123456789abcdef')),
    pseudonymKeyId: 'k1',
    estate: toEstate(config),
    coveredHosts: [],
    ruleSet,
    counters,
    history: {
      readTrace(traceId, beforeOffset) {
        const rows = stored
          .filter(({ offset }) => offset < beforeOffset)
          .flatMap(({ batch }) =>
            Array.from({ length: batch.count }, (_, row) => [batch, row] as const).filter(
              ([, row]) => traceIdHex(batch, row) === traceId,
            ),
          );
        return rows.length === 0 ? undefined : copyRows(rows);
      },
      mark: (traceId) => marks.get(traceId),
    },
    onBug(_stage, error) {
      throw error;
    },
  });

  function checkpoint(): void {
    const delta = pipeline.checkpoint();
    for (const { traceId, revision, closedBy } of delta.traceMarks) marks.set(traceId, { revision, closedBy });
    store.apply(delta);
  }

  return {
    pipeline,
    counters,
    send(bytes, encoding, receivedUs) {
      const request = { bytes, encoding, compression: 'none', bytesMax: DEFAULT_LIMITS.httpBodyBytesMax } as const;
      const { batch, offset } = pipeline.accept(request, receivedUs);
      if (batch !== undefined) stored.push({ offset, batch });
    },
    checkpoint,
    finish() {
      pipeline.flush();
      checkpoint();
      const findings = reader.findings({ limit: 200 }).items.map(({ id }) => {
        const { revision: _revision, history: _history, ...finding } = reader.finding(id)!;
        return finding;
      });
      const outcome = {
        findings: findings.sort((a, b) => (a.id < b.id ? -1 : 1)),
        operations: reader.operations({ limit: 200 }).items,
        services: reader.callGraph({ level: 'service' }),
        operationGraph: reader.callGraph({ level: 'operation' }),
        spans: counters.value('spans_stored_total'),
      };
      store.close();
      return outcome;
    },
  };
}
