import { recordEffect } from '@spanwarden/instrumentation';
import { authenticated, call, serve, urlOf } from './web.ts';

/** Orders. Flaw: the account that is charged need not be the one that was checked, as in the public Coinbase case. */
const accounts = urlOf('accounts');

serve((app) => {
  app.post(
    '/orders',
    authenticated(async (request, response, caller) => {
      const { account, settleFrom, symbol, quantity } = request.body as {
        account: string;
        settleFrom?: string;
        symbol: string;
        quantity: number;
      };
      const check = await call(`${accounts}/accounts/${account}/authorize`, caller.token, {});
      if (check.status !== 200) {
        response.status(403).json({ error: 'forbidden' });
        return;
      }
      recordEffect('trade', { object: { type: 'account', ids: settleFrom ?? account } });
      response.status(201).json({ order: { symbol, quantity, account: settleFrom ?? account } });
    }),
  );
});
