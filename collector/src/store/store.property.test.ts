import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EdgeDelta, MatchDelta, OperationDelta, StoreDelta } from '../base/outcome.ts';
import { openMemoryStore } from './store.ts';
import { SECOND_US, START_US, toDelta, toEdge, toMatch, toOperation } from './testing/deltas.ts';
import { type ModelFinding, toModelFindings } from './testing/match-model.ts';
import type { FindingDetail } from './views.ts';

const LIMIT = 500;
const SETTINGS = { assembleIdleMs: 15_000, now: () => START_US };

/** Items dealt to deltas: `to[i]` is the delta of item `i`, in the order of `rank`. */
function deal<T>(items: readonly T[], to: readonly number[], rank: readonly number[]): T[][] {
  const dealt: T[][] = Array.from({ length: Math.max(0, ...to) + 1 }, () => []);
  const order = items.map((_, i) => i).sort((a, b) => rank[a]! - rank[b]!);
  for (const i of order) dealt[to[i]!]!.push(items[i]!);
  return dealt;
}

const arrangement = (length: number) =>
  fc.record({
    to: fc.array(fc.nat({ max: 6 }), { minLength: length, maxLength: length }),
    rank: fc.array(fc.nat(), { minLength: length, maxLength: length }),
  });

/** The revisions of one call path's match: all but the last are withdrawn, and perhaps the last too. */
const pathHistory = fc.record({
  fingerprint: fc.integer({ min: 1, max: 2 }),
  path: fc.nat({ max: 30 }),
  revisions: fc.array(
    fc.record({
      eventS: fc.nat({ max: 20_000 }),
      records: fc.nat({ max: 50 }),
      explanation: fc.constantFrom('one', 'two', 'three'),
      principal: fc.constantFrom(undefined, 'QdH5CAWJgqVT4rOr0qtumf', 'bdH5CAWJgqVT4rOr0qtumf'),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  withdrawn: fc.boolean(),
});
const histories = fc.uniqueArray(pathHistory, {
  minLength: 1,
  maxLength: 30,
  selector: ({ fingerprint, path }) => `${fingerprint}/${path}`,
});

interface History {
  readonly signed: readonly MatchDelta[];
  readonly left: readonly MatchDelta[];
}

function toHistory(paths: typeof histories extends fc.Arbitrary<infer T> ? T : never): History {
  const signed: MatchDelta[] = [];
  const left: MatchDelta[] = [];
  for (const { fingerprint, path, revisions, withdrawn } of paths) {
    for (const [i, { eventS, records, explanation, principal }] of revisions.entries()) {
      const eventUs = START_US + eventS * SECOND_US;
      const parts = {
        fingerprint,
        // several call paths per trace
        trace: 1 + Math.floor(path / 2),
        entry: 1 + path,
        eventUs,
        // a later revision holds later spans
        pathEventUs: START_US + (20_000 + i) * SECOND_US,
        records,
        explanation,
        principal,
      };
      signed.push(toMatch({ ...parts, sign: 1 }));
      const isLast = i === revisions.length - 1;
      if (isLast && !withdrawn) left.push(toMatch(parts));
      else signed.push(toMatch({ ...parts, sign: -1 }));
    }
  }
  return { signed, left };
}

function findingsAfter(deltas: readonly StoreDelta[], evidenceMatchesMax: number): FindingDetail[] {
  const { store, reader } = openMemoryStore({ ...SETTINGS, evidenceMatchesMax });
  for (const delta of deltas) store.apply(delta);
  const { items } = reader.findings({ limit: LIMIT });
  const details = items.map(({ id }) => reader.finding(id)!);
  for (const [i, { id: _id, ...item }] of items.entries()) expect(details[i]).toMatchObject(item);
  store.close();
  return details;
}

const toModelled = (finding: FindingDetail): ModelFinding => ({
  fingerprint: finding.fingerprint,
  count: finding.count,
  records: finding.records,
  episodes: finding.episodes,
  firstSeen: finding.firstSeen,
  lastSeen: finding.lastSeen,
  detectableAt: finding.detectableAt,
  dwellMs: finding.dwellMs,
  traceIds: finding.traceIds,
  summary: finding.summary,
  principal: finding.principal,
  evidenceTraceId: finding.evidence!.traceId,
});

const byFirstSeen = (a: ModelFinding, b: ModelFinding): number =>
  a.firstSeen !== b.firstSeen ? (a.firstSeen > b.firstSeen ? -1 : 1) : a.fingerprint < b.fingerprint ? -1 : 1;

describe('findings are a function of the matches that are left', () => {
  it('in whatever order and deltas the matches and their withdrawals come', () => {
    fc.assert(
      fc.property(
        histories
          .map(toHistory)
          .chain((history) => arrangement(history.signed.length).map((arranged) => ({ ...history, ...arranged }))),
        ({ signed, left, to, rank }) => {
          const deltas = deal(signed, to, rank).map((matches) => toDelta({ matches }));
          const expected = toModelFindings(left).sort(byFirstSeen);
          expect(findingsAfter(deltas, 1_000).map(toModelled)).toEqual(expected);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('and the counters are, also when only two matches per finding are kept in full', () => {
    const toCounters = ({ fingerprint, count, records, episodes, firstSeen, lastSeen, traceIds }: ModelFinding) => ({
      fingerprint,
      count,
      records,
      episodes,
      firstSeen,
      lastSeen,
      traceIds,
    });
    fc.assert(
      fc.property(
        histories
          .map(toHistory)
          .chain((history) => arrangement(history.signed.length).map((arranged) => ({ ...history, ...arranged }))),
        ({ signed, left, to, rank }) => {
          const deltas = deal(signed, to, rank).map((matches) => toDelta({ matches }));
          const found = findingsAfter(deltas, 2).map((finding) =>
            toCounters({ ...finding, evidenceTraceId: '' } as unknown as ModelFinding),
          );
          expect(found).toEqual(toModelFindings(left).sort(byFirstSeen).map(toCounters));
        },
      ),
      { numRuns: 60 },
    );
  });
});

const signedCalls = fc.record({
  calls: fc.integer({ min: -3, max: 3 }),
  errors: fc.integer({ min: -2, max: 2 }),
  fromS: fc.nat({ max: 1000 }),
  forS: fc.nat({ max: 1000 }),
  records: fc.integer({ min: -5, max: 5 }),
});

const operation = fc.tuple(fc.nat({ max: 3 }), fc.constantFrom('external', 'internal'), signedCalls).map(
  ([number, exposure, { calls, errors, fromS, forS, records }]): OperationDelta =>
    toOperation(number, {
      calls,
      errors,
      firstUs: START_US + fromS * SECOND_US,
      lastUs: START_US + (fromS + forS) * SECOND_US,
      facets: [
        { facet: 'exposure', value: exposure, calls, records: 0 },
        { facet: 'response-type', value: 'email', calls, records },
      ],
    }),
);
const edge = fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 }), signedCalls).map(
  ([from, to, { calls, errors, fromS, forS, records }]): EdgeDelta =>
    toEdge(`s${from}`, `s${to}`, {
      calls,
      errors,
      firstUs: START_US + fromS * SECOND_US,
      lastUs: START_US + (fromS + forS) * SECOND_US,
      dataTypes: [{ type: 'email', records }],
    }),
);

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe('operations and edges are sums', () => {
  it('in whatever order and deltas the calls come, and rows without calls are not listed', () => {
    fc.assert(
      fc.property(
        fc
          .record({ operations: fc.array(operation, { maxLength: 30 }), edges: fc.array(edge, { maxLength: 30 }) })
          .chain(({ operations, edges }) =>
            fc.record({
              operations: fc.constant(operations),
              edges: fc.constant(edges),
              dealt: arrangement(operations.length + edges.length),
            }),
          ),
        ({ operations, edges, dealt: { to, rank } }) => {
          const parts = deal<OperationDelta | EdgeDelta>([...operations, ...edges], to, rank);
          const { store, reader } = openMemoryStore(SETTINGS);
          for (const part of parts) {
            store.apply(
              toDelta({
                operations: part.filter((item): item is OperationDelta => 'route' in item),
                edges: part.filter((item): item is EdgeDelta => 'level' in item),
              }),
            );
          }
          const found = reader.operations({ limit: LIMIT }).items;
          const ids = [...new Set(operations.map(({ id }) => id))];
          const expected = ids
            .map((id) => ({ id, all: operations.filter((item) => item.id === id) }))
            .filter(({ all }) => sum(all.map(({ calls }) => calls)) > 0)
            .map(({ id, all }) => ({
              id,
              calls: sum(all.map(({ calls }) => calls)),
              errors: sum(all.map(({ errors }) => errors)),
              firstSeen: new Date(Math.min(...all.map(({ firstUs }) => firstUs)) / 1000).toISOString(),
              lastSeen: new Date(Math.max(...all.map(({ lastUs }) => lastUs)) / 1000).toISOString(),
              exposures: ['external', 'internal']
                .map((exposure) => ({
                  exposure,
                  calls: sum(all.filter(({ facets }) => facets[0]!.value === exposure).map(({ calls }) => calls)),
                }))
                .filter(({ calls }) => calls > 0),
            }))
            .sort((a, b) => (a.id < b.id ? -1 : 1));
          expect(
            found.map(({ id, calls, errors, firstSeen, lastSeen, exposures }) => ({
              id,
              calls,
              errors,
              firstSeen,
              lastSeen,
              exposures,
            })),
          ).toEqual(expected);

          const pairs = [...new Set(edges.map((item) => `${item.from} ${item.to}`))].sort();
          const expectedEdges = pairs
            .map((pair) => ({ pair, all: edges.filter((item) => `${item.from} ${item.to}` === pair) }))
            .map(({ pair, all }) => ({
              pair,
              calls: sum(all.map(({ calls }) => calls)),
              errors: sum(all.map(({ errors }) => errors)),
              records: sum(all.map(({ dataTypes }) => dataTypes[0]!.records)),
            }))
            .filter(({ calls }) => calls > 0)
            .map(({ records, ...rest }) => ({ ...rest, dataTypes: records > 0 ? [{ type: 'email', records }] : [] }));
          expect(
            reader.callGraph({}).edges.map(({ from, to: target, calls, errors, dataTypes }) => ({
              pair: `${from} ${target}`,
              calls,
              errors,
              dataTypes,
            })),
          ).toEqual(expectedEdges);
          store.close();
        },
      ),
      { numRuns: 150 },
    );
  });
});
