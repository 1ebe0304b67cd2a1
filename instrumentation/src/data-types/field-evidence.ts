import { shapeOf } from './detector.ts';
import { DETECTORS, judgeName, type NameVerdict } from './registry.ts';

/** A field's data type and the share of its values that carry it. */
export interface FieldVerdict {
  /** Position in `DETECTORS`. */
  readonly detector: number;
  readonly hitRate: number;
}

/** Older values count half as soon as this many were seen, so that a field which changes is judged anew. */
const VALUES_MAX = 40;
const VALUE_CHARS_MAX = 256;
const NO_TYPE = -1;
const PERSON_NAME = DETECTORS.findIndex((detector) => detector.type === 'person_name');

/**
 * What the values of one field have shown so far: values in, at most one data type out; it keeps counts, never a value.
 *
 * The score is a log-odds sum of the name, the mean confidence, the hit rate and the number of hits; a type is assigned
 * when it is at least as likely as not.
 */
export class FieldEvidence {
  readonly name: NameVerdict;
  #values = 0;
  readonly #hits = new Float32Array(DETECTORS.length);
  readonly #confidence = new Float32Array(DETECTORS.length);

  constructor(fieldName: string) {
    this.name = judgeName(fieldName);
  }

  /** @returns the detector that this value fits best, or -1 */
  add(raw: string): number {
    if (raw.length === 0) return NO_TYPE;
    if (this.#values >= VALUES_MAX) this.#fade();
    this.#values++;
    const value = raw.length > VALUE_CHARS_MAX ? raw.slice(0, VALUE_CHARS_MAX) : raw;
    const shape = shapeOf(value);
    let best = NO_TYPE;
    let bestWeight = 0;
    let bestConfidence = 0;
    for (let index = 0; index < DETECTORS.length; index++) {
      const detector = DETECTORS[index]!;
      const hinted = this.name.hints[index] === true || (index === PERSON_NAME && this.name.ambiguousName);
      if (detector.weak && !hinted) continue;
      const confidence = detector.confidence(value, shape);
      const weight = confidence > 0 && hinted ? confidence + 1 : confidence;
      if (weight > bestWeight) {
        best = index;
        bestWeight = weight;
        bestConfidence = confidence;
      }
    }
    if (best !== NO_TYPE) {
      this.#hits[best]! += 1;
      this.#confidence[best]! += bestConfidence;
    }
    return best;
  }

  #fade(): void {
    this.#values /= 2;
    for (let index = 0; index < this.#hits.length; index++) {
      this.#hits[index]! /= 2;
      this.#confidence[index]! /= 2;
    }
  }

  /**
   * The field's type, or undefined.
   *
   * @param besidePersonalData whether a sibling field already is e-mail, phone, birth date or the like: then a plain `name` is
   *   a person's
   */
  verdict(besidePersonalData: boolean): FieldVerdict | undefined {
    let winner = NO_TYPE;
    let winnerScore = 0;
    for (let index = 0; index < DETECTORS.length; index++) {
      if (this.#hits[index] === 0) continue;
      const score = this.#score(index, besidePersonalData);
      if (score >= 0 && (winner === NO_TYPE || score > winnerScore)) {
        winner = index;
        winnerScore = score;
      }
    }
    return winner === NO_TYPE ? undefined : { detector: winner, hitRate: this.#hits[winner]! / this.#values };
  }

  #score(index: number, besidePersonalData: boolean): number {
    const detector = DETECTORS[index]!;
    const hits = this.#hits[index]!;
    const hitRate = hits / this.#values;
    const mean = Math.min(0.99, this.#confidence[index]! / hits);
    const hinted = this.name.hints[index] === true || (this.name.ambiguousName && besidePersonalData);
    if (detector.weak && !hinted) return -1;
    let score = -4 + Math.log(mean / (1 - mean)) + Math.min(2, Math.log2(Math.max(1, hits)) / 2);
    if (hinted) score += detector.weak ? 5.5 : 3;
    if (detector.decisive && !this.name.negative) return Math.max(score, 0.5);
    score += hitRate >= 0.8 ? 2 : hitRate >= 0.5 ? 1 : hitRate >= 0.2 ? 0 : -2;
    return this.name.negative ? score - 3.5 : score;
  }
}
