import type { RuleInfo } from '../index.ts';

const HEAD = ['rule', 'level', 'OWASP API 2023', 'question', 'needs'] as const;

/** The rules of a set as an aligned Markdown table, for the page that lists the catalogue. */
export function toCatalogTable(rules: readonly RuleInfo[]): string {
  const rows = rules.map((rule) => [
    `[${rule.id}](catalog/${rule.id}.yaml)`,
    rule.level,
    rule.tags.map((tag) => tag.replace(/^owasp\.api(\d+)-2023$/, 'API$1')).join(', '),
    rule.question,
    rule.requires === 'complete' ? 'the whole call path' : 'its own spans',
  ]);
  const widths = HEAD.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(HEAD), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
