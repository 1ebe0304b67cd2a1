import { InstrumentationBase, type InstrumentationModuleDefinition } from '@opentelemetry/instrumentation';
import { authDefinitions } from './auth-libraries.ts';
import { watchFetch } from './egress.ts';
import { expressDefinition } from './express.ts';
import { watchFastify } from './fastify.ts';
import { watchRequests } from './http-hooks.ts';
import { APISEC_VERSION, TRACER_NAME } from './semconv.ts';

/** What the security attributes need from libraries: bodies of frameworks and results of token verification. */
class ApiSecInstrumentation extends InstrumentationBase {
  constructor() {
    super(TRACER_NAME, APISEC_VERSION, {});
  }

  protected init(): InstrumentationModuleDefinition[] {
    watchRequests();
    watchFastify();
    watchFetch();
    return [expressDefinition(), ...authDefinitions()];
  }
}

/**
 * For the `instrumentations` of an existing SDK, beside the stock http instrumentation. It starts no spans; what it sees reaches spans
 * through `ApiSecSpanProcessor`.
 */
export function createApiSecInstrumentation(): InstrumentationBase {
  return new ApiSecInstrumentation();
}
