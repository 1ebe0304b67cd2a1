import { setPrincipal } from '@spanwarden/instrumentation';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import jwt from 'jsonwebtoken';

/** What all demo services share: an Express app, a caller's token that is verified, and calls to the next service. */

/** Claims of the demo's tokens. */
export interface Caller {
  readonly sub: string;
  readonly tenant: string;
  readonly token: string;
}

const secret = required('DEMO_JWT_SECRET');

export function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

/** Base address of another demo service, from the environment: `DEMO_PROFILE_URL`. */
export const urlOf = (service: string): string => required(`DEMO_${service.toUpperCase()}_URL`);

export const tokenFor = (sub: string, tenant: string): string =>
  jwt.sign({ sub, tenant, scope: 'accounts:read orders:write' }, secret, { issuer: 'demo-bank', expiresIn: 3600 });

/** The caller of a verified token, also for a route that accepts what it should not (`algorithms`). */
export function callerOf(request: Request, algorithms: readonly jwt.Algorithm[] = ['HS256']): Caller | undefined {
  const token = request.header('authorization')?.replace(/^Bearer /, '');
  if (token === undefined) return undefined;
  try {
    const claims = jwt.verify(token, algorithms.includes('none') ? '' : secret, {
      algorithms: [...algorithms],
    }) as jwt.JwtPayload;
    const tenant = String(claims['tenant']);
    const sub = String(claims.sub);
    setPrincipal({
      id: sub,
      issuer: 'demo-bank',
      tenant,
      type: 'user',
      verified: algorithms.includes('none') ? 'no' : 'yes',
    });
    return { sub, tenant, token };
  } catch {
    return undefined;
  }
}

type Handler = (request: Request, response: Response, caller: Caller) => Promise<void> | void;

/** A handler that only callers with a valid token reach. */
export const authenticated =
  (handler: Handler) =>
  async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    const caller = callerOf(request);
    if (caller === undefined) {
      response.status(401).json({ error: 'unauthenticated' });
      return;
    }
    try {
      await handler(request, response, caller);
    } catch (error) {
      next(error);
    }
  };

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Calls the next service, acting for the holder of `token` (none: without credential). */
export async function call(url: string, token?: string, body?: unknown): Promise<Answer> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const init: RequestInit = { headers };
  if (body !== undefined) {
    headers['content-type'] = 'application/json';
    init.method = 'POST';
    init.body = JSON.stringify(body);
  }
  const response = await fetch(url, init);
  return { status: response.status, body: await response.json() };
}

export const relay = (response: Response, { status, body }: Answer): void => {
  response.status(status).json(body);
};

/** Starts the service on `DEMO_PORT` and tells the parent process. */
export function serve(describe: (app: Express) => void): void {
  const app = express();
  app.use(express.json());
  app.get('/healthz', (_request, response) => {
    response.json({ ok: true });
  });
  describe(app);
  app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
    response.status(500).json({ error: error.name });
  });
  app.listen(Number(required('DEMO_PORT')), '127.0.0.1', () => process.send?.('listening'));
}
