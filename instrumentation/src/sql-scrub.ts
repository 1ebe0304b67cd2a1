const SQL =
  /^[\s(]*(?:select|insert|update|delete|with|create|alter|drop|merge|replace|call|exec(?:ute)?|begin|commit|rollback|show|explain|truncate|grant|revoke|pragma)\b/i;

/** Strings in any quoting, dollar quoting, comments, numbers and hex; what is unterminated is taken to the end. */
const LITERAL =
  /'(?:[^'\\]|\\.|'')*(?:'|$)|"(?:[^"\\]|\\.|"")*(?:"|$)|\$(\w*)\$[\s\S]*?(?:\$\1\$|$)|--[^\n]*|#[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\b0x[0-9a-f]+\b|(?<![\w$@:?])-?\d[\d.]*(?:e[+-]?\d+)?\b/gi;

const STATEMENT_CHARS_MAX = 4096;

/**
 * A statement without its literals; of a command in another language only the first word. Double-quoted identifiers stay when they
 * look like names.
 */
export function scrubStatement(text: string): string {
  const statement = text.slice(0, STATEMENT_CHARS_MAX);
  if (!SQL.test(statement)) return /^\s*([A-Za-z]{1,20})\b/.exec(statement)?.[1]?.toUpperCase() ?? '?';
  return statement.replace(LITERAL, (literal) => (/^"[a-z_]\w{0,62}"$/.test(literal) ? literal : '?'));
}

/** A GraphQL document without its string and number literals. */
export function scrubGraphql(text: string): string {
  return text
    .slice(0, STATEMENT_CHARS_MAX)
    .replace(/"""[\s\S]*?(?:"""|$)|"(?:[^"\\]|\\.)*(?:"|$)|#[^\n]*|(?<![\w$])-?\d[\d.]*(?:e[+-]?\d+)?/gi, '?');
}
