import { type Hop, Signal } from '../model/call-path.ts';
import { Field, fieldId } from '../model/field.ts';
import { absenceOf } from '../model/signal-group.ts';
import type { Value } from '../model/value.ts';
import { NO, UNKNOWN, type Verdict } from './verdict.ts';

/** Reads one field of a hop. */
export type FieldReader = (hop: Hop) => Value | undefined;

export function compileField(name: string): FieldReader {
  const id = fieldId(name);
  return id === undefined ? (hop) => hop.named(name) : (hop) => hop.field(id);
}

/** What it means that this field is absent on a hop: no, or unknown. Asked only when it is absent. */
export type AbsenceVerdict = (hop: Hop) => Verdict;

export function compileAbsence(name: string): AbsenceVerdict {
  const absence = absenceOf(name);
  switch (absence.kind) {
    case 'never':
      return () => NO;
    case 'open':
      return () => UNKNOWN;
    case 'versioned':
      return isVersioned;
    case 'calling':
      return (hop) => (isCalling(hop) ? isVersioned(hop) : NO);
    case 'serving':
      return (hop) => (isServing(hop) ? UNKNOWN : NO);
    case 'caller':
      // Without a parent in the call path, a span that names one lost its caller; a true root has none.
      return (hop) => (isServing(hop) && hop.parent < 0 && hop.field(Field.spanRoot) !== true ? UNKNOWN : NO);
    case 'domain': {
      const { key } = absence;
      return (hop) => (hop.field(key) === undefined ? NO : UNKNOWN);
    }
    case 'signal': {
      const { bit } = absence;
      return bit === Signal.data
        ? (hop) => ((hop.coverage & bit) !== 0 && !isUnclassified(hop) ? NO : UNKNOWN)
        : (hop) => ((hop.coverage & bit) === 0 ? UNKNOWN : NO);
    }
  }
}

function isVersioned(hop: Hop): Verdict {
  return hop.coverage !== 0 || hop.field(Field.apisecVersion) !== undefined ? NO : UNKNOWN;
}

function isServing(hop: Hop): boolean {
  const kind = hop.field(Field.spanKind);
  return kind === 'server' || kind === 'consumer';
}

function isCalling(hop: Hop): boolean {
  const kind = hop.field(Field.spanKind);
  return kind === 'client' || kind === 'producer';
}

/** A response that the service gave up classifying: no data type on it proves nothing. */
function isUnclassified(hop: Hop): boolean {
  const classified = hop.field(Field.responseClassified);
  return typeof classified === 'string' && (classified === 'error' || classified.startsWith('skipped'));
}
