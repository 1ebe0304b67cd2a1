import type { CallPath, Hop } from '../model/call-path.ts';
import { Field } from '../model/field.ts';
import type { Value } from '../model/value.ts';

/** The hop through which the call came in: the one enrichment marked, else the root. */
export function entryOf(path: CallPath): Hop {
  let entry: Hop | undefined;
  let root: Hop | undefined;
  for (const hop of path.hops) {
    if (hop.parent < 0) {
      root ??= hop;
    }
    if (hop.field(Field.entry) === true && (entry === undefined || hop.depth < entry.depth)) {
      entry = hop;
    }
  }
  return entry ?? root ?? path.hops[0]!;
}

export function serviceOf(hop: Hop): string {
  return textOf(hop.field(Field.serviceName)) ?? 'unknown';
}

/** `edge-gw: GET /orders/{id}`, from the operation a span serves or else its name. */
export function describeHop(hop: Hop): string {
  const what = textOf(hop.field(Field.operation)) ?? textOf(hop.field(Field.spanName)) ?? hop.spanId;
  return `${serviceOf(hop)}: ${shorten(what)}`;
}

const SHOWN_CHARS_MAX = 120;
const SHOWN_ELEMENTS_MAX = 5;

/** A value for people: at most a few elements, each cut; values on hops are scrubbed already. */
export function printValue(value: Value): string {
  if (typeof value !== 'object') {
    return shorten(String(value));
  }
  const shown = value.slice(0, SHOWN_ELEMENTS_MAX).map((element) => shorten(String(element)));
  return value.length > SHOWN_ELEMENTS_MAX ? `${shown.join(', ')}, … (${value.length})` : shown.join(', ');
}

function textOf(value: Value | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function shorten(text: string): string {
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}
