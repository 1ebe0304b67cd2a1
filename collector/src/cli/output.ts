import { styleText } from 'node:util';
import type { FindingDetail, FindingView, Severity } from '../serve/contract.ts';

/** Text for people. Data goes to stdout, everything else to stderr; colours and progress only on a terminal. */

type Style = Exclude<Parameters<typeof styleText>[0], undefined>;

const SEVERITY_STYLE: Readonly<Record<Severity, Style>> = {
  critical: ['bold', 'red'],
  high: 'red',
  medium: 'yellow',
  low: 'cyan',
  info: 'dim',
};
const SEVERITIES: readonly Severity[] = ['info', 'low', 'medium', 'high', 'critical'];

export const severityRank = (severity: Severity): number => SEVERITIES.indexOf(severity);

/** NO_COLOR and TERM=dumb switch colours off, FORCE_COLOR on. */
function isColoured(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0') return true;
  return stream.isTTY === true && TERM !== 'dumb';
}

const paint = (style: Style, text: string): string =>
  isColoured(process.stdout) ? styleText(style, text, { validateStream: false }) : text;

/** Names come from spans: control characters would let a service write to the terminal. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

export const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

export const printJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
};

/** A message for the person at the terminal. */
export const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** One line that is overwritten, on a terminal; nothing elsewhere. */
export interface Progress {
  update(text: string): void;
  done(): void;
}

export function createProgress(): Progress {
  const live = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb' && process.env['CI'] === undefined;
  return {
    update(text) {
      if (live) process.stderr.write(`\r\u001b[2K${text}`);
    },
    done() {
      if (live) process.stderr.write('\r\u001b[2K');
    },
  };
}

/** Worst first, then the earliest. */
export function bySeverity(a: FindingView, b: FindingView): number {
  return (
    severityRank(b.severity) - severityRank(a.severity) ||
    (a.firstSeen < b.firstSeen ? -1 : a.firstSeen > b.firstSeen ? 1 : a.id < b.id ? -1 : 1)
  );
}

/** Three lines per finding: what, in which words, how often and since when. */
export function findingLines(finding: FindingView): string {
  const { id, severity, rule, summary, count, firstSeen, lastSeen, records } = finding;
  const often = count === 1 ? 'one call' : `${count} calls`;
  const volume = records > 0 ? `, ${records} ${records === 1 ? 'record' : 'records'}` : '';
  const when = firstSeen === lastSeen ? `at ${firstSeen}` : `from ${firstSeen} to ${lastSeen}`;
  return [
    `${paint(SEVERITY_STYLE[severity], severity.toUpperCase().padEnd(8))} ${paint('bold', printable(rule.title))}  ${paint('dim', `${rule.id}  ${id}`)}`,
    `         ${printable(summary)}`,
    `         ${paint('dim', `${often}${volume}, ${when}`)}`,
  ].join('\n');
}

/** Everything about one finding: the sentence, the spans it rests on, the clauses it met, what to do. */
export function findingText(finding: FindingDetail): string {
  const lines = [findingLines(finding), ''];
  if (finding.evidence !== null) {
    lines.push(paint('bold', `evidence in trace ${finding.evidence.traceId}`));
    const depths = new Map<string, number>();
    for (const span of finding.evidence.spans) {
      const depth = (depths.get(span.parentSpanId) ?? -1) + 1;
      depths.set(span.spanId, depth);
      const roles = span.roles.length === 0 ? '' : `  ← ${span.roles.join(', ')}`;
      const facts = Object.entries(span.attributes)
        .filter(([name]) =>
          /principal\.id|auth\.|effect|object\.|data_types|records?_count|authz|third_party|server\.address|status_code/.test(
            name,
          ),
        )
        .map(([name, value]) => `${name}=${Array.isArray(value) ? value.slice(0, 4).join(',') : String(value)}`);
      lines.push(
        `  ${'  '.repeat(depth)}${printable(span.service)} ${span.kind} ${printable(span.name)}${paint('yellow', roles)}`,
      );
      if (facts.length > 0) lines.push(paint('dim', `  ${'  '.repeat(depth)}  ${printable(facts.join('  '))}`));
    }
    lines.push('', paint('bold', 'why'));
    for (const { clause, observed } of finding.evidence.measures)
      lines.push(`  ${printable(clause)}: ${printable(observed)}`);
  }
  lines.push('', paint('bold', 'what to do'), ...finding.responseAdvice.map((advice) => `  ${advice}`));
  lines.push(
    '',
    paint(
      'dim',
      `rule ${finding.rule.id} version ${finding.rule.version}, content ${finding.ruleDetail.hash.slice(0, 12)}, tags ${finding.ruleDetail.tags.join(' ')}`,
    ),
  );
  lines.push(paint('dim', `fingerprint ${finding.fingerprint}`));
  return lines.join('\n');
}
