/** The wall clock may be this much faster than the steady one before it is not believed. */
const DRIFT_US = 60_000_000;

/**
 * Wall-clock time that retention may act on: a clock that jumps weeks ahead while the process runs must not delete
 * weeks of spans. It never advances faster than the steady clock; what the wall clock says at the start is believed.
 */
export class RetentionClock {
  readonly #steadyUs: () => number;
  #nowUs: number | undefined;
  #steadyAtUs = 0;

  constructor(steadyUs: () => number = () => performance.now() * 1000) {
    this.#steadyUs = steadyUs;
  }

  advance(wallUs: number): number {
    const steadyUs = this.#steadyUs();
    const elapsedUs = steadyUs - this.#steadyAtUs;
    const latestUs = this.#nowUs === undefined ? wallUs : this.#nowUs + elapsedUs;
    this.#nowUs = wallUs <= latestUs + DRIFT_US ? wallUs : latestUs;
    this.#steadyAtUs = steadyUs;
    return this.#nowUs;
  }
}
