import { recordEvent } from '@spanwarden/instrumentation';
import { authenticated, call, callerOf, relay, serve, tokenFor, urlOf } from './web.ts';

/** The gateway: the only service that clients should reach. Most routes are right; each flaw below is one attack's way in. */
const accounts = urlOf('accounts');
const profile = urlOf('profile');
const trading = urlOf('trading');

serve((app) => {
  app.get(
    '/api/accounts/:id',
    authenticated(async (request, response, caller) => {
      relay(response, await call(`${accounts}/accounts/${request.params['id']}`, caller.token));
    }),
  );

  app.get(
    '/api/customers/:id',
    authenticated(async (request, response, caller) => {
      relay(response, await call(`${profile}/profiles/${request.params['id']}`, caller.token));
    }),
  );

  app.post(
    '/api/orders',
    authenticated(async (request, response, caller) => {
      relay(response, await call(`${trading}/orders`, caller.token, request.body));
    }),
  );

  // Support staff act for a customer, and say so: the exchange is recorded, so this is no principal swap.
  app.get(
    '/api/support/customers/:id',
    authenticated(async (request, response, caller) => {
      recordEvent('impersonation', 'success', request.params['id'] as string);
      const exchanged = tokenFor(String(request.params['id']), caller.tenant);
      relay(response, await call(`${profile}/profiles/${request.params['id']}`, exchanged));
    }),
  );

  // Flaw: forgotten when the second version of the API came, and never asked for a credential.
  app.get('/api/v1/customers/:id', async (request, response) => {
    relay(response, await call(`${profile}/profiles/${request.params['id']}`, tokenFor('svc-legacy-web', 'retail')));
  });

  // Flaw: "family view" makes itself a token for whoever the path names.
  app.get(
    '/api/family/:member',
    authenticated(async (request, response, caller) => {
      relay(
        response,
        await call(
          `${accounts}/accounts/of/${request.params['member']}`,
          tokenFor(String(request.params['member']), caller.tenant),
        ),
      );
    }),
  );

  // Flaw: the tenant of the report is taken from the path, not from the token.
  app.get(
    '/api/reports/:tenant',
    authenticated(async (request, response, caller) => {
      relay(response, await call(`${accounts}/reports`, tokenFor(caller.sub, String(request.params['tenant']))));
    }),
  );

  app.get(
    '/api/balances',
    authenticated(async (request, response, caller) => {
      relay(response, await call(`${accounts}/balances?ids=${String(request.query['ids'] ?? '')}`, caller.token));
    }),
  );

  app.post(
    '/api/exports',
    authenticated(async (request, response, caller) => {
      relay(response, await call(`${profile}/exports`, caller.token, request.body));
    }),
  );

  app.post(
    '/api/avatars',
    authenticated(async (request, response, caller) => {
      relay(response, await call(`${profile}/avatars`, caller.token, request.body));
    }),
  );

  // Flaw: the old mobile app's tokens are accepted without a signature.
  app.get('/api/mobile/accounts/:id', async (request, response) => {
    const caller = callerOf(request, ['none']);
    if (caller === undefined) {
      response.status(401).json({ error: 'unauthenticated' });
      return;
    }
    relay(response, await call(`${accounts}/accounts/${request.params['id']}`, tokenFor(caller.sub, caller.tenant)));
  });

  // Flaw: the link in the password mail carries the reset token in the URL.
  app.get('/api/reset', (_request, response) => {
    response.json({ ok: true });
  });
});
