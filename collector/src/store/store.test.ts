import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Counters } from '../base/counters.ts';
import type { MatchDelta, StoreDelta } from '../base/outcome.ts';
import { openReadOnly, openWritable, STORE_FILE } from './database.ts';
import { openStoreReader } from './reader.ts';
import { openMemoryStore, openStore } from './store.ts';
import {
  findingIdOf,
  fingerprintOf,
  hex,
  SECOND_US,
  START_US,
  toDelta,
  toEdge,
  toMatch,
  toOperation,
} from './testing/deltas.ts';

const SETTINGS = { assembleIdleMs: 15_000, now: () => START_US };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spanwarden-store-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const everything: StoreDelta = toDelta({
  operations: [
    toOperation(1, {
      calls: 3,
      errors: 1,
      lastUs: START_US + SECOND_US,
      facets: [
        { facet: 'exposure', value: 'external', calls: 2, records: 0 },
        { facet: 'exposure', value: 'internal', calls: 1, records: 0 },
        { facet: 'authn', value: 'none', calls: 3, records: 0 },
        { facet: 'response-type', value: 'us_ssn', calls: 3, records: 30 },
      ],
    }),
  ],
  edges: [toEdge('gateway', 'accounts', { calls: 3, errors: 1, dataTypes: [{ type: 'us_ssn', records: 30 }] })],
  matches: [toMatch({ trace: 7, records: 30, pathEventUs: START_US + 2 * SECOND_US })],
  unknowns: [{ rule: 'access/principal-swap', service: 'accounts', missing: 'auth', count: 2 }],
  traceMarks: [{ traceId: '0'.repeat(31).concat('7'), revision: 2, closedBy: 'cap', eventUs: START_US }],
  checkpoint: { nextOffset: 12, horizonOffset: 9, openTraces: Uint8Array.of(1, 2, 3) },
});

describe('what is applied is there after a restart', () => {
  it('in every table, and in the checkpoint', () => {
    const store = openStore(directory, SETTINGS);
    expect(store.checkpoint()).toBeUndefined();
    expect(store.apply(everything)).toEqual({ changedFindings: [findingIdOf(1)] });
    store.close();

    const again = openStore(directory, SETTINGS);
    const reader = openStoreReader(directory, SETTINGS);
    expect(again.checkpoint()).toEqual(everything.checkpoint);
    expect(reader.findings({ limit: 10 })).toMatchInlineSnapshot(`
      {
        "items": [
          {
            "confidence": "low",
            "count": 1,
            "detectableAt": "2026-01-05T08:00:02.000Z",
            "dwellMs": 0,
            "fingerprint": "v1:0001000100010001000100010001000100010001000100010001000100010001",
            "firstSeen": "2026-01-05T08:00:00.000Z",
            "id": "F-000100010001",
            "lastSeen": "2026-01-05T08:00:00.000Z",
            "operation": "accounts GET /v1/{id}/lines",
            "principal": "QdH5CAWJgqVT4rOr0qtumf",
            "raisedAt": "2026-01-05T08:00:17.000Z",
            "records": 30,
            "rule": {
              "id": "exposure/unauthenticated-sensitive-read",
              "title": "Title of exposure/unauthenticated-sensitive-read",
              "version": 1,
            },
            "severity": "high",
            "status": "open",
            "subject": {
              "id": "QdH5CAWJgqVT4rOr0qtumf",
              "kind": "principal",
            },
            "summary": "read without a credential",
            "traceIds": [
              "00000000000000000000000000000007",
            ],
          },
        ],
        "next": undefined,
      }
    `);
    expect(reader.finding(findingIdOf(1))).toMatchInlineSnapshot(`
      {
        "confidence": "low",
        "count": 1,
        "detectableAt": "2026-01-05T08:00:02.000Z",
        "dwellMs": 0,
        "episodes": 1,
        "evidence": {
          "baseline": null,
          "entrySpanId": "0000000000000001",
          "measures": [
            {
              "clause": "apisec.auth.scheme: none",
              "observed": "none",
            },
          ],
          "spans": [
            {
              "attributes": {
                "apisec.auth.scheme": "none",
              },
              "durationUs": 1000,
              "kind": "server",
              "name": "GET /v1/{id}/lines",
              "operation": "accounts GET /v1/{id}/lines",
              "parentSpanId": "",
              "roles": [
                "entry",
              ],
              "service": "accounts",
              "spanId": "0000000000000001",
              "startUnixUs": 1767599999999000,
              "status": "unset",
            },
          ],
          "traceId": "00000000000000000000000000000007",
        },
        "explanation": "read without a credential",
        "fingerprint": "v1:0001000100010001000100010001000100010001000100010001000100010001",
        "firstSeen": "2026-01-05T08:00:00.000Z",
        "history": [],
        "id": "F-000100010001",
        "key": [
          {
            "field": "apisec.principal.id",
            "value": "QdH5CAWJgqVT4rOr0qtumf",
          },
          {
            "field": "apisec.endpoint",
            "value": "accounts GET /v1/{id}/lines",
          },
        ],
        "lastSeen": "2026-01-05T08:00:00.000Z",
        "operation": "accounts GET /v1/{id}/lines",
        "principal": "QdH5CAWJgqVT4rOr0qtumf",
        "raisedAt": "2026-01-05T08:00:17.000Z",
        "records": 30,
        "responseAdvice": [
          "Require a credential",
        ],
        "revision": 1,
        "rule": {
          "id": "exposure/unauthenticated-sensitive-read",
          "title": "Title of exposure/unauthenticated-sensitive-read",
          "version": 1,
        },
        "ruleDetail": {
          "engineVersion": 1,
          "hash": "0000000000000000000000000000000000000000000000000000000000000027",
          "status": "experimental",
          "tags": [
            "owasp.api2-2023",
          ],
        },
        "severity": "high",
        "status": "open",
        "subject": {
          "id": "QdH5CAWJgqVT4rOr0qtumf",
          "kind": "principal",
        },
        "suggestedRateLimit": null,
        "summary": "read without a credential",
        "traceIds": [
          "00000000000000000000000000000007",
        ],
        "triage": {
          "changedAt": null,
          "note": null,
          "reason": null,
          "until": null,
        },
      }
    `);
    expect(reader.operations({ limit: 10 })).toMatchInlineSnapshot(`
      {
        "items": [
          {
            "authn": {
              "schemes": [
                {
                  "calls": 3,
                  "scheme": "none",
                },
              ],
              "state": "none",
              "verified": [],
            },
            "callers": [],
            "calls": 3,
            "dataFlows": [
              {
                "calls": 3,
                "direction": "response",
                "records": 30,
                "type": "us_ssn",
              },
            ],
            "dataTypes": [
              "us_ssn",
            ],
            "documented": null,
            "errors": 1,
            "exposure": "external",
            "exposures": [
              {
                "calls": 2,
                "exposure": "external",
              },
              {
                "calls": 1,
                "exposure": "internal",
              },
            ],
            "firstSeen": "2026-01-05T08:00:00.000Z",
            "id": "0000000000000001",
            "lastSeen": "2026-01-05T08:00:01.000Z",
            "method": "GET",
            "risk": {
              "reasons": [
                {
                  "factor": "sensitive-data",
                  "points": 71,
                },
                {
                  "factor": "unauthenticated",
                  "points": 35,
                },
                {
                  "factor": "external",
                  "points": 28,
                },
              ],
              "score": 90,
            },
            "route": "/v1/1",
            "service": "accounts",
            "state": null,
            "style": "rest",
            "versions": [],
          },
        ],
        "next": undefined,
      }
    `);
    expect(reader.callGraph({})).toMatchInlineSnapshot(`
      {
        "edges": [
          {
            "calls": 3,
            "dataTypes": [
              {
                "records": 30,
                "type": "us_ssn",
              },
            ],
            "errors": 1,
            "firstSeen": "2026-01-05T08:00:00.000Z",
            "from": "gateway",
            "fromKind": "service",
            "kind": "service",
            "lastSeen": "2026-01-05T08:00:00.000Z",
            "to": "accounts",
            "toKind": "service",
          },
        ],
        "nodes": [
          {
            "id": "accounts",
            "kind": "service",
            "name": "accounts",
            "service": null,
          },
          {
            "id": "gateway",
            "kind": "service",
            "name": "gateway",
            "service": null,
          },
        ],
        "truncated": false,
      }
    `);
    expect(reader.traceMark('0'.repeat(31).concat('7'))).toEqual(everything.traceMarks[0]);
    expect(reader.traceMark('0'.repeat(32))).toBeUndefined();
    expect(reader.counts()).toEqual(again.counts());
    const { databaseBytes, ...counts } = again.counts();
    expect(databaseBytes).toBeGreaterThan(10_000);
    expect(counts).toMatchInlineSnapshot(`
      {
        "edges": 1,
        "findingsByRule": [
          [
            "exposure/unauthenticated-sensitive-read",
            1,
          ],
        ],
        "findingsByStatus": [
          [
            "open",
            1,
          ],
        ],
        "matches": 1,
        "operations": 1,
        "unknownsByMissing": [
          [
            "auth",
            2,
          ],
        ],
      }
    `);
    reader.close();
    again.close();
  });
});

describe('a transaction is whole or absent', () => {
  it('when a delta cannot be written, nothing of it is, and the store goes on', () => {
    const store = openStore(directory, SETTINGS);
    store.apply(everything);
    const before = store.counts();
    const broken = toDelta({
      operations: [toOperation(2), toOperation(3)],
      edges: [toEdge('a', 'b')],
      matches: [toMatch({ fingerprint: 2 }), toMatch({ fingerprint: 3, eventUs: Number.NaN })],
      checkpoint: { nextOffset: 20, horizonOffset: 20, openTraces: new Uint8Array() },
    });
    expect(() => store.apply(broken)).toThrow();
    expect(store.counts()).toEqual(before);
    expect(store.checkpoint()).toEqual(everything.checkpoint);

    const whole = { ...broken, matches: broken.matches.slice(0, 1) };
    expect(store.apply(whole)).toEqual({ changedFindings: [findingIdOf(2)] });
    expect(store.counts()).toMatchObject({ operations: 3, edges: 2, matches: 2 });
    store.close();
  });

  it('files as they are in the middle of one hold the state before it', () => {
    const store = openStore(directory, SETTINGS);
    store.apply(everything);
    const copy = join(directory, 'copy');
    mkdirSync(copy);
    const parts = toDelta({ operations: [toOperation(2)], matches: [toMatch({ fingerprint: 2 })] });
    store.apply({
      ...parts,
      // read last, when everything else is written and nothing is committed
      get checkpoint() {
        for (const suffix of ['', '-wal'])
          copyFileSync(join(directory, STORE_FILE + suffix), join(copy, STORE_FILE + suffix));
        return { nextOffset: 30, horizonOffset: 30, openTraces: new Uint8Array() };
      },
    });
    const crashed = openStore(copy, SETTINGS);
    expect(crashed.checkpoint()).toEqual(everything.checkpoint);
    expect(crashed.counts()).toMatchObject({ operations: 1, matches: 1 });
    expect(store.checkpoint()?.nextOffset).toBe(30);
    expect(store.counts()).toMatchObject({ operations: 2, matches: 2 });
    crashed.close();
    store.close();
  });
});

describe('the file', () => {
  it('belongs to its owner alone, and so do its companions', () => {
    const folder = join(directory, 'data');
    const store = openStore(folder, SETTINGS);
    store.apply(everything);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const suffix of ['', '-wal', '-shm']) {
      expect(statSync(join(folder, STORE_FILE + suffix)).mode & 0o777).toBe(0o600);
    }
    store.close();
  });

  it('is synced at every commit also when it is opened again, and erases what it deletes', () => {
    for (let opened = 0; opened < 2; opened++) {
      const database = openWritable(directory);
      const setting = (name: string) => database.pragma(name, { simple: true });
      expect([setting('journal_mode'), setting('synchronous'), setting('secure_delete')]).toEqual(['wal', 2, 1]);
      expect([setting('trusted_schema'), setting('foreign_keys')]).toEqual([0, 1]);
      database.exec('CREATE TABLE IF NOT EXISTS some (thing)');
      database.close();
    }
  });

  it('cannot be changed through the handle of a reader', () => {
    openStore(directory, SETTINGS).close();
    const database = openReadOnly(directory);
    expect(() => database.exec('DELETE FROM findings')).toThrow(/readonly|query_only/);
    expect(() => database.exec('CREATE TEMP TABLE mine (thing)')).toThrow(/readonly|query_only/);
    database.close();
  });

  it('that is no database is refused and left alone', () => {
    writeFileSync(join(directory, STORE_FILE), 'this is not a database, but a note that somebody wrote '.repeat(100));
    expect(() => openStore(directory, SETTINGS)).toThrow(/not a database/);
  });

  it('of a folder without a store cannot be read', () => {
    expect(() => openStoreReader(directory, SETTINGS)).toThrow();
  });
});

const apply = (matches: readonly MatchDelta[], settings = {}) => {
  const opened = openMemoryStore({ ...SETTINGS, ...settings });
  opened.store.apply(toDelta({ matches }));
  return opened;
};
const only = (matches: readonly MatchDelta[], settings = {}) => apply(matches, settings).reader.finding(findingIdOf(1));

describe('a finding', () => {
  it('counts a call path once, also when the rules changed between its revisions', () => {
    const { store, reader } = apply([toMatch({ explanation: 'as the old rule said' })]);
    // the withdrawal is computed anew, by the new rule
    store.apply(
      toDelta({
        matches: [
          toMatch({ sign: -1, explanation: 'as the new rule says' }),
          toMatch({ explanation: 'as the new rule says, of more spans', pathEventUs: START_US + SECOND_US }),
        ],
      }),
    );
    expect(reader.finding(findingIdOf(1))).toMatchObject({ count: 1, summary: 'as the new rule says, of more spans' });
    store.apply(toDelta({ matches: [toMatch({ sign: -1, explanation: 'as an even newer rule says' })] }));
    expect(reader.finding(findingIdOf(1))).toBeUndefined();
  });

  it('shows the evidence of the last revision when nothing else of a match changed', () => {
    const { store, reader } = apply([toMatch({})]);
    const late = toMatch({});
    const span = {
      ...late.evidence[0]!,
      attributes: { 'apisec.auth.scheme': 'none', 'http.response.status_code': 200 },
    };
    const delta = toDelta({ matches: [toMatch({ sign: -1 }), { ...late, evidence: [span] }] });
    expect(store.apply(delta)).toEqual({ changedFindings: [findingIdOf(1)] });
    expect(reader.finding(findingIdOf(1))).toMatchObject({ count: 1, revision: 2, evidence: { spans: [span] } });
  });

  it('leaves no trace when it is withdrawn before it was stored', () => {
    const { store, reader } = apply([toMatch({}), toMatch({ sign: -1 })]);
    expect(reader.findings({ limit: 10 }).items).toEqual([]);
    expect(store.counts().matches).toBe(0);
  });

  it('that is withdrawn keeps what people said of it until it comes back', () => {
    const { store, reader } = apply([toMatch({})]);
    store.setFindingStatus(findingIdOf(1), { status: 'confirmed', note: 'seen before' });
    store.apply(toDelta({ matches: [toMatch({ sign: -1 })] }));
    expect(reader.findings({ limit: 10 }).items).toEqual([]);
    expect(reader.finding(findingIdOf(1))).toBeUndefined();
    expect(store.setFindingStatus(findingIdOf(1), { status: 'open' })).toEqual({ outcome: 'not-found' });
    store.apply(toDelta({ matches: [toMatch({ trace: 2 })] }));
    expect(reader.finding(findingIdOf(1))).toMatchObject({ status: 'confirmed', triage: { note: 'seen before' } });
  });

  it('names its ten earliest and ten latest traces', () => {
    const matches = Array.from({ length: 30 }, (_, i) =>
      toMatch({ trace: 100 + i, entry: i, eventUs: START_US + i * SECOND_US }),
    );
    const expected = [...Array(10).keys(), ...Array.from({ length: 10 }, (_, i) => 20 + i)];
    expect(only(matches)?.traceIds).toEqual(expected.map((i) => hex(100 + i, 32)));
  });

  it('counts every match and keeps the earliest in full, and the cut is counted', () => {
    const counters = new Counters();
    const matches = Array.from({ length: 10 }, (_, i) =>
      toMatch({ trace: 1 + i, eventUs: START_US + (10 - i) * SECOND_US, explanation: `match ${i}`, records: 2 }),
    );
    const found = only(matches, { evidenceMatchesMax: 3, counters });
    expect(found).toMatchObject({ count: 10, records: 20, summary: 'match 9', evidence: { traceId: hex(10, 32) } });
    expect(counters.value('dropped_total', 'store:evidence-matches')).toBe(7);
  });

  it('starts an episode after more silence than its window', () => {
    const at = (...minutes: number[]) =>
      minutes.map((minute, i) =>
        toMatch({ trace: i, eventUs: START_US + minute * 60 * SECOND_US, windowMs: 3_600_000 }),
      );
    expect(only(at(0, 30, 60, 120))?.episodes).toBe(1);
    expect(only(at(0, 61))?.episodes).toBe(2);
    expect(only(at(0, 130, 65))?.episodes).toBe(3);
    expect(only(at(0, 90, 45))?.episodes).toBe(1);
  });

  it('is about the principal when it is known, else about the operation', () => {
    expect(only([toMatch({})])?.subject).toEqual({ kind: 'principal', id: 'QdH5CAWJgqVT4rOr0qtumf' });
    expect(only([toMatch({ principal: undefined })])?.subject).toEqual({
      kind: 'operation',
      id: 'accounts GET /v1/{id}/lines',
    });
    expect(only([toMatch({ principal: undefined, operation: undefined })])?.subject).toEqual({
      kind: 'unknown',
      id: 'unknown',
    });
  });

  it('is as sure as its rule is tried', () => {
    const confidence = (status: 'experimental' | 'test' | 'stable' | 'deprecated') =>
      only([toMatch({ status })])?.confidence;
    expect([confidence('stable'), confidence('test'), confidence('experimental'), confidence('deprecated')]).toEqual([
      'high',
      'medium',
      'low',
      'low',
    ]);
  });

  it('that shares its id with another is still found by its fingerprint', () => {
    const twin = (end: string): MatchDelta => {
      const delta = toMatch({ explanation: `ends with ${end}` });
      return { ...delta, match: { ...delta.match, fingerprint: `v1:${'ab'.repeat(31)}${end}` } };
    };
    const { reader } = apply([twin('02'), twin('01')]);
    expect(reader.findings({ limit: 10 }).items.map(({ id }) => id)).toEqual(['F-abababababab', 'F-abababababab']);
    expect(reader.finding('F-abababababab')?.summary).toBe('ends with 01');
    expect(reader.finding(`v1:${'ab'.repeat(31)}02`)?.summary).toBe('ends with 02');
  });

  it('is found by its fingerprint too', () => {
    const { reader } = apply([toMatch({})]);
    expect(reader.finding(fingerprintOf(1))).toEqual(reader.finding(findingIdOf(1)));
    expect(reader.finding('F-')).toBeUndefined();
  });
});

describe('marks of traces', () => {
  it('tell the latest revision, in whatever order they come', () => {
    const marks = [3, 2, 4].map((revision) => ({
      traceId: hex(1, 32),
      revision,
      closedBy: 'idle' as const,
      eventUs: START_US,
    }));
    for (const order of [marks, [...marks].reverse()]) {
      const { store, reader } = openMemoryStore(SETTINGS);
      for (const mark of order) store.apply(toDelta({ traceMarks: [mark] }));
      expect(reader.traceMark(hex(1, 32))).toEqual(marks[2]);
    }
  });
});
