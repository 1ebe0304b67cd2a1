/** The demo's bank: customers with invented data, each with one account, in two tenants. */
export interface Customer {
  readonly id: string;
  readonly tenant: 'retail' | 'business';
  readonly account: string;
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  readonly ssn: string;
}

const FIRST = ['Ada', 'Bela', 'Chidi', 'Dana', 'Emil', 'Fatma', 'Goran', 'Hana', 'Ivo', 'Jun'];
const LAST = ['Novak', 'Okafor', 'Silva', 'Kaya', 'Weber', 'Tanaka'];

export const CUSTOMERS: readonly Customer[] = Array.from({ length: 60 }, (_, i) => {
  const name = `${FIRST[i % FIRST.length]} ${LAST[i % LAST.length]}`;
  return {
    id: `cust-${i + 1}`,
    tenant: i % 5 === 4 ? 'business' : 'retail',
    account: `acc-${i + 1}`,
    name,
    email: `${name.toLowerCase().replace(' ', '.')}${i}@example.com`,
    phone: `+1 415 555 ${String(1000 + i)}`,
    ssn: `${String(200 + i)}-45-${String(6000 + i)}`,
  };
});

export const ownerOf = (account: string): string | undefined =>
  CUSTOMERS.find((customer) => customer.account === account)?.id;
export const accountOf = (id: string): string => CUSTOMERS.find((customer) => customer.id === id)?.account ?? 'acc-0';
export const isTenant = (tenant: string): boolean => tenant === 'retail' || tenant === 'business';
