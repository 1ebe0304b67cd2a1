/** A piece of a condition or where clause; `offset` counts from the start of its text. */
export interface Token {
  readonly kind: 'name' | 'path' | 'number' | 'text' | 'symbol' | 'end';
  readonly text: string;
  readonly offset: number;
}

/** Longest first, so that `!~>` is one `!` and one `~>`, and `>=` is not `>`. */
const SYMBOLS = ['>>', '>=', '<<', '<=', '==', '!=', '~>', '>', '<', '~', '!', '(', ')'] as const;

const BLANK = /\s/;
const PATH = /[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_\-.]*[A-Za-z0-9_])?/y;
const NUMBER = /-?\d+(?:\.\d+)?/y;
const QUOTED = /'[^']*'|"[^"]*"/y;

/** Cuts a text into tokens, the last one of kind `end`; `onUnknown` hears of each character that belongs to none. */
export function tokenize(text: string, onUnknown: (offset: number, character: string) => void): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (BLANK.test(text[at]!)) {
      at++;
      continue;
    }
    const token = tokenAt(text, at);
    if (token === undefined) {
      onUnknown(at, text[at]!);
      at++;
      continue;
    }
    tokens.push(token);
    at += token.text.length;
  }
  tokens.push({ kind: 'end', text: '', offset: text.length });
  return tokens;
}

function tokenAt(text: string, offset: number): Token | undefined {
  const path = matchAt(PATH, text, offset);
  if (path !== undefined) {
    return { kind: path.includes('.') ? 'path' : 'name', text: path, offset };
  }
  const number = matchAt(NUMBER, text, offset);
  if (number !== undefined) {
    return { kind: 'number', text: number, offset };
  }
  const quoted = matchAt(QUOTED, text, offset);
  if (quoted !== undefined) {
    return { kind: 'text', text: quoted, offset };
  }
  const symbol = SYMBOLS.find((candidate) => text.startsWith(candidate, offset));
  return symbol === undefined ? undefined : { kind: 'symbol', text: symbol, offset };
}

function matchAt(pattern: RegExp, text: string, offset: number): string | undefined {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0];
}
