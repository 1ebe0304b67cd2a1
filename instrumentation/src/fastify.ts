/** Fastify 5: listens to its own announcement of new instances and adds hooks; nothing is patched. */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { context } from '@opentelemetry/api';
import { getRPCMetadata } from '@opentelemetry/core';
import { expectObject, observeObject } from './response.ts';
import { guarded, shared } from './runtime.ts';

interface FastifyRequest {
  readonly raw: IncomingMessage;
  readonly routeOptions?: { readonly url?: string };
}

interface FastifyReply {
  readonly raw: ServerResponse;
}

type Done = (error?: null, payload?: unknown) => void;

interface FastifyInstance {
  addHook(name: 'onRequest', hook: (request: FastifyRequest, reply: FastifyReply, done: Done) => void): void;
  addHook(
    name: 'preSerialization',
    hook: (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done) => void,
  ): void;
}

let watching = false;

export function watchFastify(): void {
  if (watching) return;
  watching = true;
  subscribe('fastify.initialization', (message) => {
    guarded(() => addHooks((message as { fastify: FastifyInstance }).fastify));
  });
}

function addHooks(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    guarded(() => {
      const state = shared.responses.get(reply.raw);
      if (state === undefined) return;
      state.framework = request;
      state.route = request.routeOptions?.url;
      const metadata = getRPCMetadata(context.active());
      if (metadata !== undefined && state.route !== undefined && metadata.route === undefined)
        metadata.route = state.route;
    });
    done();
  });
  fastify.addHook('preSerialization', (_request, reply, payload, done) => {
    guarded(() => {
      const state = shared.responses.get(reply.raw);
      if (state === undefined) return;
      expectObject(state);
      // The serializer still has to run: looking first must not run the application's getters twice with side effects in between.
      process.nextTick(() => guarded(() => observeObject(state, reply.raw, payload)));
    });
    done(null, payload);
  });
}
