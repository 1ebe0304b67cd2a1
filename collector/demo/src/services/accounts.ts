import { recordAuthz, recordObjects, traceStore } from '@spanwarden/instrumentation';
import { accountOf, isTenant, ownerOf } from '../world.ts';
import { authenticated, type Caller, serve } from './web.ts';

/** Accounts and who may use them. It trusts whoever reaches it: nothing but the gateway should. */
serve((app) => {
  app.get(
    '/accounts/of/:user',
    authenticated((request, response) => {
      const account = accountOf(String(request.params['user']));
      recordObjects('account', account);
      response.json(read(account));
    }),
  );

  app.get(
    '/accounts/:id',
    authenticated((request, response, caller) => {
      const id = String(request.params['id']);
      const allowed = isOwner(caller, id);
      if (!allowed) response.status(403).json({ error: 'forbidden' });
      else response.json(read(id));
    }),
  );

  app.post(
    '/accounts/:id/authorize',
    authenticated((request, response, caller) => {
      const id = String(request.params['id']);
      const allowed = isOwner(caller, id);
      response.status(allowed ? 200 : 403).json({ allowed });
    }),
  );

  app.get(
    '/reports',
    authenticated((_request, response, caller) => {
      if (!isTenant(caller.tenant)) response.status(404).json({ error: 'not found' });
      else response.json({ tenant: caller.tenant, accounts: [read('acc-1'), read('acc-2')] });
    }),
  );

  app.get(
    '/balances',
    authenticated((request, response) => {
      const ids = String(request.query['ids'] ?? '').split(',');
      response.json({ items: ids.map((id) => read(id)) });
    }),
  );
});

/** The one policy of this service, and the record of what it decided. */
function isOwner(caller: Caller, account: string): boolean {
  const allowed = ownerOf(account) === caller.sub;
  recordAuthz({
    decision: allowed ? 'allow' : 'deny',
    policy: 'owner_only',
    object: { type: 'account', ids: account },
    ownerMatch: allowed,
  });
  return allowed;
}

function read(id: string): { account: string; balance: number } {
  return traceStore(
    { system: 'sqlite', operation: 'SELECT', collection: 'accounts', object: { type: 'account', ids: id } },
    () => ({
      account: id,
      balance: id.length * 100,
    }),
  );
}
