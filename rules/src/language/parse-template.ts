import type { Format, TemplatePart, TemplateWord } from '../model/ast.ts';
import { isHidden } from '../model/signal-group.ts';
import { checkField } from './parse-selection.ts';
import type { Problems } from './rule-error.ts';
import { didYouMean } from './suggest.ts';
import type { ScalarNode } from './yaml-node.ts';

const FORMATS: readonly Format[] = ['count', 'bytes', 'date', 'duration'];
const WORDS: readonly TemplateWord[] = ['principal', 'endpoint', 'services', 'records', 'since'];
const PLACEHOLDER = /\{([^{}]*)\}/g;

/** `{entry.apisec.endpoint}: {count(read)|count}` -> parts. `entry` may always be named: it is the call path's entry. */
export function parseTemplate(
  node: ScalarNode,
  selections: readonly string[],
  problems: Problems,
): readonly TemplatePart[] {
  const text = String(node.value);
  const parts: TemplatePart[] = [];
  let at = 0;
  for (const match of text.matchAll(PLACEHOLDER)) {
    if (match.index > at) {
      parts.push({ kind: 'text', text: text.slice(at, match.index) });
    }
    const part = parsePlaceholder(match[1]!, (code, message) => {
      problems.add(node.placeOf(match.index + 1), code, message);
    });
    if (part !== undefined) {
      parts.push(part);
    }
    at = match.index + match[0].length;
  }
  parts.push({ kind: 'text', text: text.slice(at) });
  return parts;

  function parsePlaceholder(
    inside: string,
    fail: (code: 'E_NAME' | 'E_FIELD' | 'E_TYPE', message: string) => void,
  ): TemplatePart | undefined {
    const [expression = '', formatText, ...rest] = inside.split('|').map((piece) => piece.trim());
    const format = FORMATS.find((candidate) => candidate === formatText);
    if (rest.length > 0 || (formatText !== undefined && format === undefined)) {
      fail('E_TYPE', `"${inside}": a formatter is one of ${FORMATS.join(', ')}`);
      return undefined;
    }
    const word = WORDS.find((candidate) => candidate === expression);
    if (word !== undefined) {
      return { kind: 'word', word, format };
    }
    const counted = /^count\(\s*([A-Za-z][A-Za-z0-9_]*)\s*\)$/.exec(expression)?.[1];
    const dot = expression.indexOf('.');
    const name = counted ?? (dot < 0 ? expression : expression.slice(0, dot));
    if (!selections.includes(name) && (name !== 'entry' || counted !== undefined)) {
      fail('E_NAME', `"${name}" is not a selection${didYouMean(name, [...selections, ...WORDS])}`);
      return undefined;
    }
    if (counted !== undefined) {
      return { kind: 'count', name, format };
    }
    const field = dot < 0 ? '' : expression.slice(dot + 1);
    if (isHidden(field)) {
      fail('E_FIELD', `"${field}" is never printed: bodies, queries and headers stay out of findings`);
      return undefined;
    }
    if (field !== 'each') {
      checkField(field, node.at, problems);
    }
    return { kind: 'field', name, field, format };
  }
}
