import { defineConfig } from 'vitest/config';
import { LeftOutReporter } from './test/support/left-out-reporter.ts';

/** Rigs that need a compiler, root or minutes: `npm run faults`. One after the other, since they load the machine. */
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    include: ['test/faults/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    testTimeout: 900_000,
    hookTimeout: 60_000,
    pool: 'forks',
    reporters: ['default', new LeftOutReporter()],
    fileParallelism: false,
    disableConsoleIntercept: true,
  },
});
