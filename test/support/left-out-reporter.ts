import type { Reporter, TestModule } from 'vitest/node';

/** Says by name what a run left out, and closes with one plain line of counts: a skipped test must not look like a passed one. */
export class LeftOutReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const leftOut: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') counts.passed++;
        else if (state === 'failed') counts.failed++;
        else {
          counts.skipped++;
          leftOut.push(`${module.relativeModuleId}: ${test.fullName}`);
        }
      }
    }
    const lines = leftOut.map((name) => `  left out: ${name}`);
    if (process.env['npm_lifecycle_event'] === 'test')
      lines.push('  left out: power cuts, kill -9, full disk and overload (test/faults): npm run faults');
    process.stdout.write(
      `${lines.join('\n')}\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
    );
  }
}
