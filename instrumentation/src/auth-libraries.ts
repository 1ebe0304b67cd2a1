/**
 * Verification functions of authentication libraries: wrapped so that a token which the request presented counts as verified or
 * failed; results, errors and timing stay the application's.
 */
import { InstrumentationNodeModuleDefinition } from '@opentelemetry/instrumentation';
import type { Verified } from './record.ts';
import { activeState, guarded, shared } from './runtime.ts';

type AnyFunction = (this: unknown, ...parameters: unknown[]) => unknown;

export function authDefinitions(): InstrumentationNodeModuleDefinition[] {
  return [
    new InstrumentationNodeModuleDefinition('jsonwebtoken', ['>=8'], (exports: unknown) =>
      withWrapped(exports, 'jsonwebtoken', { verify: wrapVerify }),
    ),
    new InstrumentationNodeModuleDefinition('jose', ['>=3'], (exports: unknown) =>
      withWrapped(exports, 'jose', { jwtVerify: wrapAsync, compactVerify: wrapAsync }),
    ),
  ];
}

type Wrapper = (original: AnyFunction, library: string) => AnyFunction;

const WRAPPED = Symbol.for('spanwarden.instrumentation.auth');

/** CommonJS exports and the namespaces of the ESM loader hook are writable; a real namespace is copied. */
function withWrapped(exports: unknown, library: string, wrappers: Readonly<Record<string, Wrapper>>): unknown {
  return (
    guarded(() => {
      let target = exports as Record<string, unknown>;
      const inner = target['default'] as Record<string, unknown> | undefined;
      for (const [name, wrap] of Object.entries(wrappers)) {
        for (const holder of [target, inner]) {
          const original = holder?.[name] as (AnyFunction & { [WRAPPED]?: true }) | undefined;
          if (holder === undefined || typeof original !== 'function' || original[WRAPPED]) continue;
          const wrapped = wrap(original, library);
          Object.defineProperty(wrapped, WRAPPED, { value: true });
          if (!Reflect.set(holder, name, wrapped) && holder === target) target = { ...target, [name]: wrapped };
        }
      }
      shared.authHooks.add(library);
      return target;
    }) ?? exports
  );
}

/** `verify(token, key, options?, callback?)` */
function wrapVerify(original: AnyFunction, library: string): AnyFunction {
  return function verify(...parameters) {
    const token = parameters[0];
    const callback = parameters.at(-1);
    if (typeof callback === 'function' && parameters.length >= 3) {
      const bound = [
        ...parameters.slice(0, -1),
        (...results: unknown[]) => {
          note(token, library, results[0] === null || results[0] === undefined ? 'yes' : 'failed');
          return Reflect.apply(callback as AnyFunction, undefined, results);
        },
      ];
      return Reflect.apply(original, this, bound);
    }
    try {
      const result = Reflect.apply(original, this, parameters);
      note(token, library, 'yes');
      return result;
    } catch (error) {
      note(token, library, 'failed');
      throw error;
    }
  };
}

/** `jwtVerify(token, key, options?)` */
function wrapAsync(original: AnyFunction, library: string): AnyFunction {
  return function jwtVerify(...parameters) {
    const token = parameters[0];
    const result = Reflect.apply(original, this, parameters) as Promise<unknown>;
    result.then(
      () => note(token, library, 'yes'),
      () => note(token, library, 'failed'),
    );
    return result;
  };
}

/** Only the token that the caller presented says anything about the caller; a success is not undone by a later failure. */
function note(token: unknown, source: string, verified: Verified): void {
  guarded(() => {
    const state = activeState();
    const text = token instanceof Uint8Array ? Buffer.from(token).toString('utf8') : token;
    if (state?.http === undefined || typeof text !== 'string' || text === '') return;
    if (!presents(state.http.exchange.request.headers, state.http.credential.secret, text)) return;
    if (state.checked?.verified !== 'yes') state.checked = { verified, source };
  });
}

function presents(headers: NodeJS.Dict<string | string[]>, secret: string | undefined, token: string): boolean {
  return secret === token || Object.values(headers).some((value) => typeof value === 'string' && value.includes(token));
}
