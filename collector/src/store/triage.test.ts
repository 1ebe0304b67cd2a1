import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { createAudit } from './audit.ts';
import { migrate } from './migrate.ts';
import { openMemoryStore } from './store.ts';
import { findingIdOf, fingerprintOf, SECOND_US, START_US, toDelta, toMatch } from './testing/deltas.ts';

const HOUR_US = 3_600 * SECOND_US;
const ID = findingIdOf(1);

function open() {
  let nowUs = START_US;
  const opened = openMemoryStore({ assembleIdleMs: 15_000, now: () => nowUs });
  opened.store.apply(toDelta({ matches: [toMatch({})] }));
  return {
    ...opened,
    advance: (us: number) => {
      nowUs += us;
      return nowUs;
    },
  };
}

describe('a status', () => {
  it('changes with reason, end and note, and the change is on record', () => {
    const { store, reader } = open();
    const result = store.setFindingStatus(
      ID,
      { status: 'archived', reason: 'accepted_risk', until: '2026-02-01T00:00:00+01:00', note: 'until the audit' },
      1,
    );
    const finding = reader.finding(ID);
    expect(result).toEqual({ outcome: 'changed', finding });
    expect(finding).toMatchObject({
      status: 'archived',
      revision: 2,
      triage: {
        reason: 'accepted_risk',
        until: '2026-01-31T23:00:00.000Z',
        note: 'until the audit',
        changedAt: '2026-01-05T08:00:00.000Z',
      },
      history: [
        {
          entry: 1,
          at: '2026-01-05T08:00:00.000Z',
          actor: 'console',
          action: 'status',
          change: {
            from: 'open',
            to: 'archived',
            reason: 'accepted_risk',
            until: '2026-01-31T23:00:00.000Z',
            note: 'until the audit',
          },
        },
      ],
    });
  });

  it('is not changed by who read another revision', () => {
    const { store, reader } = open();
    expect(store.setFindingStatus(ID, { status: 'triaged' }, 7)).toEqual({ outcome: 'conflict', revision: 1 });
    expect(reader.finding(ID)).toMatchObject({ status: 'open', revision: 1, history: [] });
    expect(store.setFindingStatus('F-ffffffffffff', { status: 'triaged' })).toEqual({ outcome: 'not-found' });
  });

  it('of a note is kept when only the status changes', () => {
    const { store, reader } = open();
    store.setFindingStatus(ID, { status: 'archived', reason: 'other', note: 'a load test' });
    store.setFindingStatus(ID, { status: 'open' });
    expect(reader.finding(ID)?.triage).toMatchObject({ reason: null, until: null, note: 'a load test' });
  });

  it('archived ends when its time is over', () => {
    const { store, reader, advance } = open();
    store.setFindingStatus(ID, { status: 'archived', reason: 'testing', until: '2026-01-05T10:00:00Z' });
    expect(store.retain(advance(HOUR_US)).expiredArchives).toBe(0);
    expect(reader.finding(ID)?.status).toBe('archived');
    expect(store.retain(advance(HOUR_US)).expiredArchives).toBe(1);
    expect(reader.finding(ID)).toMatchObject({
      status: 'open',
      history: [{ actor: 'spanwarden', action: 'expired', change: { from: 'archived', to: 'open' } }, {}],
    });
  });

  it('resolved opens again with a new episode, not with more of the old one', () => {
    const { store, reader } = open();
    store.setFindingStatus(ID, { status: 'resolved' });
    store.apply(toDelta({ matches: [toMatch({ trace: 2, eventUs: START_US + HOUR_US / 2 })] }));
    expect(reader.finding(ID)).toMatchObject({ status: 'resolved', count: 2, episodes: 1 });
    store.apply(toDelta({ matches: [toMatch({ trace: 3, eventUs: START_US - 5 * HOUR_US })] }));
    expect(reader.finding(ID)).toMatchObject({ status: 'resolved', count: 3, episodes: 2 });
    store.apply(toDelta({ matches: [toMatch({ trace: 4, eventUs: START_US + 2 * HOUR_US })] }));
    expect(reader.finding(ID)).toMatchObject({
      status: 'open',
      episodes: 3,
      history: [{ actor: 'spanwarden', action: 'reopened', change: { from: 'resolved', to: 'open' } }, {}],
    });
  });

  it('archived as expected stays so, whatever comes', () => {
    const { store, reader } = open();
    store.setFindingStatus(ID, { status: 'archived', reason: 'expected' });
    store.apply(toDelta({ matches: [toMatch({ trace: 4, eventUs: START_US + 2 * HOUR_US })] }));
    expect(reader.finding(ID)).toMatchObject({ status: 'archived', episodes: 2 });
  });
});

describe('the audit trail', () => {
  it('verifies, and its head moves with each entry', () => {
    const { store } = open();
    const heads = (['triaged', 'confirmed', 'resolved'] as const).map((status) => {
      store.setFindingStatus(ID, { status });
      return store.verifyAudit();
    });
    expect(heads.map((verdict) => verdict.ok && verdict.entries)).toEqual([1, 2, 3]);
    expect(new Set(heads.map((verdict) => verdict.ok && verdict.head)).size).toBe(3);
  });

  it('names the entry that somebody altered or took out behind its back', () => {
    for (const tamper of [
      "UPDATE audit SET body = replace(body, 'three', 'THREE') WHERE entry = 3",
      "UPDATE audit SET actor = 'nobody' WHERE entry = 3",
      'UPDATE audit SET at_us = at_us + 1 WHERE entry = 3',
      "UPDATE audit SET hash = x'00' WHERE entry = 3",
      'DELETE FROM audit WHERE entry = 3',
    ]) {
      const database = new Database(':memory:');
      migrate(database, 'memory');
      const audit = createAudit(database);
      for (const note of ['one', 'two', 'three', 'four']) {
        audit.append({
          atUs: START_US,
          actor: 'console',
          action: 'status',
          subject: fingerprintOf(1),
          change: { note },
        });
      }
      expect(() => database.exec(tamper)).toThrow('the audit trail is append-only');
      database.exec('DROP TRIGGER audit_keeps_rows; DROP TRIGGER audit_keeps_content');
      database.exec(tamper);
      expect(audit.verify()).toEqual({ ok: false, entry: 3 });
    }
  });
});
