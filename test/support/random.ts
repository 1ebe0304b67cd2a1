/** Seeded randomness for rigs: the same seed gives the same run, so a printed seed is a reproduction. */
export interface Random {
  /** Uniform in [0, 2^32). */
  uint32(): number;
  /** Uniform in [0, 1). */
  unit(): number;
  /** Uniform integer in [0, below). */
  below(below: number): number;
}

/** Bijective 32-bit finaliser of MurmurHash3: neighbouring inputs give unrelated outputs. */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Counter-based generator: value `n` is two rounds of `mix32` over the seed and `n`. */
export function createRandom(seed: number): Random {
  let counter = mix32(seed ^ 0x9e3779b9);
  const uint32 = (): number => {
    counter = (counter + 0x9e3779b9) >>> 0;
    return mix32(mix32(counter) ^ seed);
  };
  const unit = (): number => uint32() / 0x1_0000_0000;
  return { uint32, unit, below: (below) => Math.floor(unit() * below) };
}

/** Shuffles in place (Fisher-Yates) and returns the same array. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const kept = items[i]!;
    items[i] = items[j]!;
    items[j] = kept;
  }
  return items;
}

/** The seed given in `SPANWARDEN_TEST_SEED`, else a fresh one; rigs print it. */
export function chosenSeed(): number {
  const given = process.env['SPANWARDEN_TEST_SEED'];
  return given === undefined ? (Date.now() ^ (process.pid << 16)) >>> 0 : Number(given) >>> 0;
}
