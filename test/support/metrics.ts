/** One scrape of `/metrics` in the Prometheus text format. */
export class Metrics {
  readonly #samples: readonly { name: string; labels: ReadonlyMap<string, string>; value: number }[];

  constructor(text: string) {
    this.#samples = text.split('\n').flatMap((line) => {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (match === null) return [];
      const labels = new Map([...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1]!, m[2]!]));
      return [{ name: match[1]!, labels, value: Number(match[3]) }];
    });
  }

  /** Sum over all label values; 0 when the metric is absent. */
  sum(name: string): number {
    return this.#samples.reduce((sum, sample) => (sample.name === name ? sum + sample.value : sum), 0);
  }

  has(name: string): boolean {
    return this.#samples.some((sample) => sample.name === name);
  }

  /** Value by the value of one label. */
  by(name: string, label: string): Map<string, number> {
    const values = new Map<string, number>();
    for (const sample of this.#samples) {
      if (sample.name !== name) continue;
      const key = sample.labels.get(label) ?? '';
      values.set(key, (values.get(key) ?? 0) + sample.value);
    }
    return values;
  }
}
