/** Express 4 and 5: wraps `res.json`, so that a body is looked at as an object and not parsed again from its bytes. */
import type { ServerResponse } from 'node:http';
import { InstrumentationNodeModuleDefinition } from '@opentelemetry/instrumentation';
import { expectObject, forgetObject, observeObject } from './response.ts';
import { guarded, shared } from './runtime.ts';

const PATCHED = Symbol.for('spanwarden.instrumentation.express');

type Json = (this: ServerResponse, ...parameters: unknown[]) => unknown;

interface ExpressResponse {
  json: Json;
  [PATCHED]?: true;
}

export function expressDefinition(): InstrumentationNodeModuleDefinition {
  return new InstrumentationNodeModuleDefinition('express', ['>=4.0.0 <6'], (exports: unknown) => {
    guarded(() => patchExpress(exports as ExpressModule));
    return exports;
  });
}

interface ExpressModule {
  readonly response?: ExpressResponse;
  readonly default?: { readonly response?: ExpressResponse };
}

function patchExpress(module: ExpressModule): void {
  const response = module.response ?? module.default?.response;
  if (response === undefined || response[PATCHED]) return;
  response[PATCHED] = true;
  const original = response.json;
  response.json = function json(...parameters) {
    const state = shared.responses.get(this);
    if (state === undefined) return Reflect.apply(original, this, parameters);
    guarded(() => expectObject(state));
    let result: unknown;
    try {
      result = Reflect.apply(original, this, parameters);
    } catch (error) {
      guarded(() => forgetObject(state));
      throw error;
    }
    // Express 4 also takes `res.json(status, body)` and `res.json(body, status)`.
    const body = parameters.length === 2 && typeof parameters[0] === 'number' ? parameters[1] : parameters[0];
    guarded(() => observeObject(state, this, body));
    return result;
  };
}
