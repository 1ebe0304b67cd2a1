/** Values that must never leave a process, each unique, so that one found on the wire names its carrier. */
export interface Canary {
  readonly name: string;
  readonly email: string;
  readonly card: string;
  readonly ssn: string;
  readonly phone: string;
  readonly token: string;
}

const FIRST = [
  'Amara',
  'Bartholomew',
  'Cosima',
  'Demetrius',
  'Evangeline',
  'Ferdinand',
  'Guinevere',
  'Hyacinth',
  'Ignatius',
  'Josephine',
];
const LAST = ['Okonkwo', 'Vandersloot', 'Quisling', 'Zabrinski', 'Wetherspoon'];

/** Deterministic: the same count gives the same values. */
export function plantCanaries(count: number): Canary[] {
  return Array.from({ length: count }, (_, index) => {
    const first = FIRST[index % FIRST.length]!;
    const last = LAST[Math.trunc(index / FIRST.length) % LAST.length]!;
    return {
      name: `${first} ${last}`,
      email: `${first}.${last}${index}@canary.example`.toLowerCase(),
      card: withLuhn(`41275${String(1_000_000_000 + index * 7919)}`),
      ssn: `${String(200 + index)}-${String(10 + (index % 80))}-${String(1000 + index * 37)}`,
      phone: `+1 415 555 ${String(1000 + index)}`,
      token: `tkn${index}x${Buffer.from(`canary-secret-${index}-${first}`).toString('hex')}`,
    };
  });
}

function withLuhn(payload: string): string {
  const sum = [...payload].reverse().reduce((total, character, index) => {
    const digit = Number(character) * (index % 2 === 0 ? 2 : 1);
    return total + (digit > 9 ? digit - 9 : digit);
  }, 0);
  return payload + String((10 - (sum % 10)) % 10);
}

/** The spellings of a value that would give it away: as it is, without separators, and encoded for URLs. */
export function spellings(canary: Canary): string[] {
  const digits = (text: string) => text.replace(/\D/g, '');
  const [first, last] = canary.name.split(' ') as [string, string];
  return [
    canary.name,
    encodeURIComponent(canary.name),
    first,
    last,
    canary.email,
    encodeURIComponent(canary.email),
    canary.card,
    canary.ssn,
    digits(canary.ssn),
    canary.phone,
    digits(canary.phone).slice(1),
    canary.token,
  ];
}
