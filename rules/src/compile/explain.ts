import type { Format, TemplatePart } from '../model/ast.ts';
import type { CallPath, Hop } from '../model/call-path.ts';
import type { Scalar, Value } from '../model/value.ts';
import { compileField } from './absence.ts';
import { printValue } from './entry.ts';

/** What a template may name. */
export interface Told {
  readonly path: CallPath;
  readonly title: string;
  readonly principal: string | undefined;
  readonly endpoint: string | undefined;
  readonly services: string;
  readonly records: number;
  readonly sinceUs: number;
  readonly element: Scalar | undefined;
  hopOf(name: string): Hop | undefined;
  countOf(name: string): number;
}

/** One sentence: the rule's template filled in, or who did what through which endpoint along which services. */
export function explain(template: readonly TemplatePart[] | undefined, told: Told): string {
  if (template === undefined) {
    const who = told.principal === undefined ? 'an unknown principal' : `principal ${told.principal}`;
    const through = told.endpoint === undefined ? '' : ` through ${told.endpoint}`;
    return `${told.title}: ${who}${through}, along ${told.services}.`;
  }
  return template.map((part) => fill(part, told)).join('');
}

function fill(part: TemplatePart, told: Told): string {
  if (part.kind === 'text') {
    return part.text;
  }
  const value = toldValue(part, told);
  if (value === undefined) {
    return 'unknown';
  }
  return part.format === undefined ? printValue(value) : format(value, part.format);
}

function toldValue(part: Exclude<TemplatePart, { kind: 'text' }>, told: Told): Value | undefined {
  switch (part.kind) {
    case 'count':
      return told.countOf(part.name);
    case 'field': {
      const hop = told.hopOf(part.name);
      if (part.field === 'each') {
        return told.element;
      }
      return hop === undefined ? undefined : compileField(part.field)(hop);
    }
    case 'word':
      return part.word === 'since' ? told.sinceUs : part.word === 'services' ? told.services : told[part.word];
  }
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `count` 1,234 or an array's length; `bytes` 12.3 kB; `date` of microseconds; `duration` of milliseconds. */
export function format(value: Value, kind: Format): string {
  const number = typeof value === 'object' ? value.length : Number(value);
  if (Number.isNaN(number)) {
    return printValue(value);
  }
  switch (kind) {
    case 'count':
      return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
    case 'bytes': {
      const power = Math.max(0, Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log10(Math.max(1, number)) / 3)));
      const scaled = number / 1000 ** power;
      return `${power === 0 ? scaled : scaled.toFixed(1)} ${BYTE_UNITS[power]}`;
    }
    case 'date':
      return isoDay(number);
    case 'duration':
      return duration(number);
  }
}

/** Day of microseconds since 1970 in UTC, from the civil calendar's arithmetic: rules have no clock and no Date. */
function isoDay(us: number): string {
  const days = Math.floor(us / 86_400_000_000) + 719_468;
  const era = Math.floor(days / 146_097);
  const ofEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const march = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * march + 2) / 5) + 1;
  const month = march < 10 ? march + 3 : march - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;
}

function duration(ms: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ];
  const fitting = units.find(([, length]) => ms >= length);
  if (fitting === undefined) {
    return `${Math.round(ms)} ms`;
  }
  return `${Number((ms / fitting[1]).toFixed(1))} ${fitting[0]}`;
}
