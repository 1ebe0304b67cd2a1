/** One line of the bench: a figure beside what limits it, what a naive server does, and what we ask for. */
export interface Figure {
  readonly measure: string;
  readonly value: number;
  readonly unit: string;
  /** What no design could beat in this run, with its name. */
  readonly ceiling?: { readonly name: string; readonly value: number };
  readonly naive?: number;
  /** The least (`atLeast`) or the most that passes. */
  readonly gate?: { readonly bound: number; readonly atLeast: boolean };
}

export const passes = ({ value, gate }: Figure): boolean | undefined =>
  gate === undefined ? undefined : gate.atLeast ? value >= gate.bound : value <= gate.bound;

export function toText(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 10_000) return `${(value / 1000).toFixed(0)}k`;
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

const toRatio = (value: number, other: number): string =>
  Number.isFinite(value / other) ? `${(value / other).toFixed(2)}x` : '-';

/** The figures as an aligned table. */
export function toTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { ceiling, naive, gate } = figure;
    const verdict = passes(figure);
    return [
      figure.measure,
      `${toText(figure.value)} ${figure.unit}`,
      ceiling === undefined ? '' : `${toText(ceiling.value)} (${ceiling.name})`,
      ceiling === undefined ? '' : toRatio(figure.value, ceiling.value),
      naive === undefined ? '' : toText(naive),
      naive === undefined ? '' : toRatio(figure.value, naive),
      gate === undefined ? '' : `${gate.atLeast ? '>=' : '<='} ${toText(gate.bound)}`,
      verdict === undefined ? '' : verdict ? 'ok' : 'MISSED',
    ];
  });
  const head = ['measure', 'figure', 'ceiling of this run', 'ratio', 'naive', 'ratio', 'gate', ''];
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
