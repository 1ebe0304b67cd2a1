/**
 * Plain monotone counters of one thread, named as in /metrics without the `spanwarden_` prefix, with at most one label
 * value. The main thread adds the snapshots of all threads up.
 */
export class Counters {
  readonly #values = new Map<string, Map<string, number>>();

  /** Adds `n` to counter `name`, under label value `label` ('' = the counter has no label). Labels come from fixed sets, never from spans. */
  add(name: string, n = 1, label = ''): void {
    let series = this.#values.get(name);
    if (series === undefined) {
      series = new Map();
      this.#values.set(name, series);
    }
    series.set(label, (series.get(label) ?? 0) + n);
  }

  /** Something was discarded by a limit or a fault; never silent. */
  dropped(stage: string, reason: string, n = 1): void {
    this.add('dropped_total', n, `${stage}:${reason}`);
  }

  value(name: string, label = ''): number {
    return this.#values.get(name)?.get(label) ?? 0;
  }

  /** [name, label, value], sorted. */
  snapshot(): readonly (readonly [string, string, number])[] {
    const rows: [string, string, number][] = [];
    for (const [name, series] of this.#values) for (const [label, value] of series) rows.push([name, label, value]);
    return rows.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : 1));
  }
}
