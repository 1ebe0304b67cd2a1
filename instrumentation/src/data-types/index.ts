/** Data types: which exist, which class they belong to, and how a value or a field is recognised as one. */
export type { DataClass, Detector, Shape } from './detector.ts';
export { FieldEvidence, type FieldVerdict } from './field-evidence.ts';
export { DATA_TYPE_CLASSES, DETECTORS, judgeName, type NameVerdict } from './registry.ts';
export { countInText, typeOfValue } from './text.ts';
