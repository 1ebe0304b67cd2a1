import { BatchBuilder } from 'spanwarden/internal/base/batch';
import { type LogRecord, toLogRecord } from 'spanwarden/internal/log/record';
import { openSpanLog } from 'spanwarden/internal/log/span-log';
import { createRandom } from '../support/random.ts';
import { AckLog } from './power-loss.ts';

/**
 * A process that appends to a span log, merges, and dies without closing it: folder, recorder's log, seed, commits.
 * Span `row` of record `offset` has the trace id `offset % 40, 0, 0, 7` and the span id `offset, row + 1`.
 */
const [folder, recorded, seed, commits] = process.argv.slice(2) as [string, string, string, string];
const acks = new AckLog(recorded);
const log = openSpanLog(folder, { segmentSpans: 300, retainFreeShare: 0, refuseFreeShare: 0, reserveBytes: 64 << 10 });
const random = createRandom(Number(seed) + log.nextOffset());

function record(offset: number): LogRecord {
  const builder = new BatchBuilder();
  const resource = builder.addResource({
    service: 'accounts',
    version: '',
    clock: '',
    signals: 0,
    droppedSpans: 0,
    attributes: [],
  });
  const scope = builder.addScope({ name: 'rig', version: '' });
  const startUs = 1_760_000_000_000_000 + offset * 1000;
  for (let row = 0; row <= offset % 30; row++) {
    const name = builder.string(`GET /accounts/${row}`);
    builder.span(
      offset % 40,
      0,
      0,
      7,
      offset,
      row + 1,
      0,
      0,
      2,
      0,
      0,
      startUs,
      startUs + 50,
      startUs + 50,
      name,
      resource,
      scope,
    );
    builder.attrValueOf(builder.key('user.hash'), `${random.uint32()}${random.uint32()}`);
  }
  return toLogRecord(builder.build(), offset, startUs);
}

for (let commit = 0; commit < Number(commits); commit++) {
  const from = log.nextOffset();
  const records = Array.from({ length: 1 + random.below(4) }, (_, i) => record(from + i));
  log.append(records);
  acks.append(String(log.nextOffset()));
  if (random.below(3) === 0) log.maintain({ horizonOffset: Math.max(0, from - 10), nowUs: 1_760_000_000_000_000 });
}
process.kill(process.pid, 'SIGKILL');
