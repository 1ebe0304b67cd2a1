import { writeFileSync } from 'node:fs';
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/**
 * For `node --import`: writes the garbage-collection pauses of the main thread, where sockets are served, to the file
 * named by GC_WATCH_FILE, as lines of "unix milliseconds, pause milliseconds".
 */
const path = process.env['GC_WATCH_FILE'];
if (isMainThread && path !== undefined) {
  const lines: string[] = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      lines.push(`${(performance.timeOrigin + entry.startTime).toFixed(3)} ${entry.duration.toFixed(3)}`);
    }
  }).observe({ entryTypes: ['gc'] });
  const write = (): void => writeFileSync(path, lines.join('\n'));
  setInterval(write, 500).unref();
  process.on('exit', write);
}
