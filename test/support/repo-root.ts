import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the workspace, found from wherever this file runs (`test/support` or its emitted copy). */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string };
      if (name === 'spanwarden-workspace') return folder;
    }
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error('not inside the workspace: no package.json named spanwarden-workspace above');
    folder = parent;
  }
}

export const repoRoot: string = findRoot();
/** The `spanwarden` command as `tsc -b` emits it. */
export const collectorMain: string = join(repoRoot, 'collector', 'dist', 'main.js');
/** Real third-party traces that are not part of the repository; tests that read them are left out without them. */
export const sharedData: string = join(repoRoot, '..', 'shared', 'data');
/** Emitted copy of a test file, for what runs as a process of its own: `emitted('bench/naive-server.js')`. */
export const emitted = (path: string): string => join(repoRoot, 'test', 'dist', path);
