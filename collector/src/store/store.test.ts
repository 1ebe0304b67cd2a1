import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoreDelta } from '../base/outcome.ts';
import { openStoreReader } from './reader.ts';
import { openStore } from './store.ts';
import { findingIdOf, SECOND_US, START_US, toDelta, toEdge, toMatch, toOperation } from './testing/deltas.ts';

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
    expect(again.counts()).toMatchInlineSnapshot(`
      {
        "databaseBytes": 131072,
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
