import { describe, expect, it } from 'vitest';
import type { MetricRow } from './backend.ts';
import { toMetricsText } from './metrics.ts';

const valuesOf = async (rows: readonly MetricRow[]) =>
  (await toMetricsText(rows)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('metrics', () => {
  it('have the names and labels of the contract', async () => {
    const lines = await valuesOf([
      ['spans_received_total', '', 10],
      ['spans_stored_total', '', 7],
      ['spans_duplicate_total', '', 2],
      ['spans_rejected_total', 'invalid-span', 1],
      ['requests_refused_total', 'overloaded', 3],
      ['dropped_total', 'store:evidence-matches', 4],
      ['open_traces', '', 5],
      ['findings_total', 'exposure/unauthenticated-sensitive-read', 6],
    ]);
    expect(lines).toEqual([
      'spanwarden_spans_received_total 10',
      'spanwarden_spans_stored_total 7',
      'spanwarden_spans_duplicate_total 2',
      'spanwarden_spans_rejected_total{reason="invalid-span"} 1',
      'spanwarden_requests_refused_total{reason="overloaded"} 3',
      'spanwarden_dropped_total{stage="store",reason="evidence-matches"} 4',
      'spanwarden_open_traces 5',
      'spanwarden_findings_total{rule="exposure/unauthenticated-sensitive-read"} 6',
    ]);
  });

  it('tell counters from gauges, with a help text', async () => {
    const text = await toMetricsText([['open_traces', '', 5]]);
    expect(text).toContain('# TYPE spanwarden_open_traces gauge');
    expect(text).toContain('# TYPE spanwarden_spans_received_total counter');
    expect(text).toContain('# HELP spanwarden_open_traces Traces that may still grow');
  });

  it('are there from the start', async () => {
    expect(await valuesOf([])).toEqual([
      'spanwarden_spans_received_total 0',
      'spanwarden_spans_stored_total 0',
      'spanwarden_spans_duplicate_total 0',
      'spanwarden_open_traces 0',
    ]);
  });

  it('that nobody described are exported all the same', async () => {
    const lines = await valuesOf([
      ['brand_new_total', '', 1],
      ['other_new_total', 'a:b', 2],
      ['odd name!', '', 3],
      ['odd_name_', '', 4],
      ['now_and_then_total', '', 5],
      ['now_and_then_total', 'x', 6],
      ['constructor', '', 8],
    ]);
    expect(lines).toEqual(
      expect.arrayContaining([
        'spanwarden_brand_new_total 1',
        'spanwarden_other_new_total{label="a:b"} 2',
        'spanwarden_odd_name_ 7',
        'spanwarden_now_and_then_total{label=""} 5',
        'spanwarden_now_and_then_total{label="x"} 6',
        'spanwarden_constructor 8',
      ]),
    );
  });

  it('escape label values', async () => {
    expect(await valuesOf([['findings_total', 'a"b\\c\nd', 1]])).toContain(
      'spanwarden_findings_total{rule="a\\"b\\\\c\\nd"} 1',
    );
  });

  it('leave out what is no number, and sum rows of one label', async () => {
    const lines = await valuesOf([
      ['open_bytes', '', Number.NaN],
      ['open_spans', '', 1],
      ['open_spans', '', 2],
    ]);
    expect(lines).toContain('spanwarden_open_spans 3');
    expect(lines.join()).not.toContain('open_bytes');
  });
});
