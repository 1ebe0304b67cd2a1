import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { BatchBuilder, type SpanBatch } from '../../base/batch.ts';

/** Folder of the Nezha TrainTicket traces (28 services, real timings, benign and faulty), outside of the repository. */
export const NEZHA = resolve(import.meta.dirname, '../../../../../shared/data/nezha_trainticket');
export const hasNezha = existsSync(NEZHA);

export interface NezhaSpan {
  readonly trace: string;
  readonly id: string;
  /** '' for none. */
  readonly parent: string;
  readonly service: string;
  readonly pod: string;
  readonly name: string;
  readonly startUs: number;
  readonly endUs: number;
}

/** Every file's spans, as the source has them: repeats included. */
export function readNezha(): NezhaSpan[][] {
  return readdirSync(NEZHA, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('_trace.csv.gz'))
    .sort()
    .map((name) => parseCsv(gunzipSync(readFileSync(join(NEZHA, name))).toString('utf8')));
}

function parseCsv(text: string): NezhaSpan[] {
  return text
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [trace, id, parent, pod, name, start, end] = line.split(',').map((field) => field.trim());
      return {
        trace: trace!,
        id: id!,
        parent: parent === 'root' ? '' : parent!,
        service: pod!.split('-').slice(0, -2).join('-'),
        pod: pod!,
        name: name!,
        startUs: Math.floor(Number(start!.slice(0, -3))),
        endUs: Math.floor(Number(end!.slice(0, -3))),
      };
    });
}

const words = (hex: string): number[] => (hex.match(/.{8}/g) ?? []).map((word) => Number.parseInt(word, 16));

export function toNezhaBatch(spans: readonly NezhaSpan[]): SpanBatch {
  const builder = new BatchBuilder();
  const scope = builder.addScope({ name: 'nezha', version: '' });
  const resources = new Map<string, number>();
  for (const span of spans) {
    let resource = resources.get(span.pod);
    if (resource === undefined) {
      const { service, pod } = span;
      resource = builder.addResource({ service, version: '', clock: pod, signals: 0, droppedSpans: 0, attributes: [] });
      resources.set(pod, resource);
    }
    const [t0, t1, t2, t3] = words(span.trace) as [number, number, number, number];
    const [s0, s1] = words(span.id) as [number, number];
    const [p0, p1] = span.parent === '' ? [0, 0] : (words(span.parent) as [number, number]);
    const name = builder.string(span.name);
    builder.span(t0, t1, t2, t3, s0, s1, p0, p1, 0, 0, 0, span.startUs, span.endUs, span.endUs, name, resource, scope);
  }
  return builder.build();
}
