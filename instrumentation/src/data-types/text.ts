import { shapeOf } from './detector.ts';
import { DETECTORS, judgeName } from './registry.ts';

/** How many values of each recognisable type stand in a text. Linear in its length. */
export function countInText(text: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const detector of DETECTORS) {
    const found = detector.count?.(text) ?? 0;
    if (found > 0) counts.set(detector.type, found);
  }
  return counts;
}

/** Below this a value alone, or a value under that name, is not called by the type's name. */
const SURE = 0.8;
const HINTED = 0.3;

/** The type of one named value (a query parameter, a header), or undefined. */
export function typeOfValue(name: string, value: string): string | undefined {
  const shape = shapeOf(value);
  const { hints, negative } = judgeName(name);
  for (let index = 0; index < DETECTORS.length; index++) {
    const detector = DETECTORS[index]!;
    const hinted = hints[index] === true;
    if (!hinted && (detector.weak || (negative && !detector.decisive))) continue;
    if (detector.confidence(value, shape) >= (hinted ? HINTED : SURE)) return detector.type;
  }
  return undefined;
}
