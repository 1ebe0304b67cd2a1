/** `node --import @spanwarden/instrumentation/register app.js`: starts everything before the first line of the application. */
import { register as registerLoader } from 'node:module';
import { register } from './start.ts';

// Modules that are imported rather than required can only be wrapped by a loader, and it must be there before them.
try {
  registerLoader('@opentelemetry/instrumentation/hook.mjs', import.meta.url);
} catch {
  // Without the loader CommonJS applications are still fully covered.
}
register();
