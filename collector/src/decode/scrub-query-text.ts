/** A database statement without its literals, and what it does to what. */
export interface ScrubbedQuery {
  readonly text: string;
  /** SELECT, find, GET …; '' when unknown. */
  readonly operation: string;
  /** The first table or collection named; '' when unknown. */
  readonly collection: string;
  /** Literals replaced. */
  readonly literals: number;
}

const SQL_START =
  /^[\s(;]*(select|insert|update|delete|with|merge|replace|upsert|create|alter|drop|truncate|call|exec|execute|begin|commit|rollback|start|savepoint|release|explain|analyze|vacuum|copy|declare|fetch|close|show|use|pragma|grant|revoke|lock|values|match|optional|unwind|return|table|describe|do)\b/i;
const NAME = String.raw`(?:[A-Za-z_][\w$]*|"[^"\n]{1,128}"|${'`'}[^${'`'}\n]{1,128}${'`'}|\[[^\]\n]{1,128}\])`;
const TABLE = new RegExp(
  String.raw`\b(?:from|into|update|join|table)\s+(?:only\s+|if\s+(?:not\s+)?exists\s+)?(${NAME}(?:\.${NAME}){0,2})`,
  'i',
);
const CTE_MAIN = /\)\s*(select|insert|update|delete|merge)\b/i;

/**
 * Replaces every literal by `?`. SQL is read token by token; JSON commands (MongoDB, Elasticsearch) keep their keys;
 * anything else is a command of which only the first word stays. What cannot be told from a literal is one.
 */
export function scrubQueryText(text: string): ScrubbedQuery {
  const trimmed = text.trimStart();
  const comment = skipComments(trimmed);
  const body = comment === 0 ? trimmed : trimmed.slice(comment).trimStart();
  if (body.startsWith('{') || body.startsWith('[') || body.startsWith('db.')) return scrubCommandDocument(body);
  const start = SQL_START.exec(body);
  if (start === null) return scrubCommand(body);
  const { text: masked, literals } = maskLiterals(body);
  let operation = start[1]!.toUpperCase();
  if (operation === 'WITH') operation = CTE_MAIN.exec(masked)?.[1]?.toUpperCase() ?? operation;
  const table = TABLE.exec(masked)?.[1];
  return { text: masked, operation, collection: table === undefined ? '' : bareName(table), literals };
}

function skipComments(text: string): number {
  let at = 0;
  for (;;) {
    while (at < text.length && /\s/.test(text[at]!)) at++;
    if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2);
      at = end < 0 ? text.length : end + 2;
    } else if (text.startsWith('--', at)) {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end + 1;
    } else return at;
  }
}

function bareName(name: string): string {
  return name.replace(/["`[\]]/g, '');
}

function scrubCommand(text: string): ScrubbedQuery {
  let literals = 0;
  const lines = text
    .split(/[\n;]/, 64)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const words = line.split(/\s+/, 257);
      const verb = /^[A-Za-z][A-Za-z_.]{0,31}$/.test(words[0]!) ? words[0]! : '?';
      const args = Math.min(words.length - 1, 256) + Number(verb === '?');
      literals += args;
      return words.length > 1 ? `${verb} ?` : verb;
    });
  const operation = lines[0]?.split(' ')[0] ?? '';
  return {
    text: lines.join('\n'),
    operation: operation === '?' ? '' : operation.toUpperCase(),
    collection: '',
    literals,
  };
}

const COMMAND_KEY = /^[\s[{]*["']?([A-Za-z]{2,32})["']?\s*:\s*["']([\w.$-]{1,128})["']/;
const SHELL_CALL = /^db\.([\w$-]{1,128})\.([A-Za-z]{2,32})\s*\(/;

function scrubCommandDocument(text: string): ScrubbedQuery {
  const call = SHELL_CALL.exec(text);
  const command = call === null ? COMMAND_KEY.exec(text) : null;
  const { text: masked, literals } = maskLiterals(text, true);
  const operation = call?.[2] ?? (command !== null && MONGO_COMMANDS.has(command[1]!) ? command[1]! : '');
  const collection = call?.[1] ?? (operation === '' ? '' : command![2]!);
  return { text: masked, operation, collection, literals };
}

const MONGO_COMMANDS = new Set(
  'find insert update delete aggregate count distinct findAndModify getMore create drop createIndexes'.split(' '),
);

const SPACE = /\s/;
const WORD = /[A-Za-z0-9_$\u0080-\uffff]/;
const IDENTIFIER = /^[A-Za-z_][\w$. -]{0,127}$/;
/** After these a double-quoted word is a value (MySQL), not a name (standard SQL). */
const VALUE_BEFORE = /(?:[=<>(,+|-]|\b(?:like|in|values|between|and|or|then|else|when|limit|is|not))$/i;

const DOCUMENT_WORD = /^(?:true|false|null|db|ObjectId|ISODate|NumberLong)$/;
const TAIL_CHARS = 24;

class LiteralMasker {
  readonly #text: string;
  readonly #document: boolean;
  #at = 0;
  readonly #parts: string[] = [];
  /** The last characters written: enough context for every decision, so that none reads the whole text again. */
  #tail = '';
  /** A comparison was written since the last opening parenthesis. */
  #compared = false;
  /** VALUES or an IN list was seen: quoted words in parentheses are values from here on. */
  #values = false;
  literals = 0;

  constructor(text: string, document: boolean) {
    this.#text = text;
    this.#document = document;
  }

  run(): string {
    while (this.#at < this.#text.length) this.#step();
    return this.#parts.join('').trimEnd();
  }

  #write(piece: string): void {
    this.#parts.push(piece);
    this.#tail = (this.#tail + piece).slice(-TAIL_CHARS);
    if (piece === '(') this.#compared = false;
    else if (piece === '=' || piece === '<' || piece === '>') this.#compared = true;
  }

  #step(): void {
    const text = this.#text;
    const char = text[this.#at]!;
    if (char === "'") this.#quoted("'");
    else if (char === '"') this.#quoted('"');
    else if (char === '`') this.#verbatim('`');
    else if (char === '$' && /^\$(?:[A-Za-z_]\w{0,31})?\$/.test(text.slice(this.#at, this.#at + 34)))
      this.#dollarQuoted();
    else if ((char === '-' && text[this.#at + 1] === '-' && !this.#document) || text.startsWith('/*', this.#at)) {
      this.#at += skipComments(text.slice(this.#at));
      this.#blank();
    } else if (WORD.test(char)) this.#word();
    else if (SPACE.test(char)) {
      this.#at++;
      this.#blank();
    } else {
      this.#write(char);
      this.#at++;
    }
  }

  #blank(): void {
    if (this.#tail !== '' && !this.#tail.endsWith(' ')) this.#write(' ');
  }

  #literal(): void {
    this.literals++;
    // `?, ?, ?` becomes `?`: lists of any length are one statement.
    if (/\?, ?$/.test(this.#tail)) {
      while (this.#parts.at(-1) !== '?') this.#parts.pop();
      this.#tail = '?';
    } else this.#write('?');
  }

  #endOfQuoted(quote: string): number {
    const text = this.#text;
    let to = this.#at + 1;
    while (to < text.length) {
      if (text[to] === '\\') to += 2;
      else if (text[to] !== quote) to++;
      else if (text[to + 1] === quote) to += 2;
      else return to + 1;
    }
    return text.length;
  }

  #quoted(quote: string): void {
    const to = this.#endOfQuoted(quote);
    const inside = this.#text.slice(this.#at + 1, to - 1);
    const name = this.#document ? this.#isKey(inside, to) : quote === '"' && this.#isName(inside, to);
    if (name) this.#write(`${quote}${inside}${quote}`);
    else this.#literal();
    this.#at = to;
  }

  #isKey(inside: string, to: number): boolean {
    return /^\s{0,8}:/.test(this.#text.slice(to, to + 9)) && /^[$\w.-]{1,64}$/.test(inside);
  }

  #isName(inside: string, to: number): boolean {
    if (!IDENTIFIER.test(inside) || this.#text[to - 1] !== '"') return false;
    if (this.#text[to] === '.' || this.#tail.endsWith('.')) return true;
    if (this.#values) return false;
    const before = this.#tail.trimEnd();
    if (/[(,]$/.test(before)) return !this.#compared;
    return !VALUE_BEFORE.test(before) || /\b(?:and|or|not)$/i.test(before);
  }

  #verbatim(quote: string): void {
    const to = this.#text.indexOf(quote, this.#at + 1);
    const inside = this.#text.slice(this.#at + 1, to < 0 ? this.#text.length : to);
    if (to >= 0 && IDENTIFIER.test(inside)) this.#write(`${quote}${inside}${quote}`);
    else this.#literal();
    this.#at = to < 0 ? this.#text.length : to + 1;
  }

  #dollarQuoted(): void {
    const tag = /^\$\w*\$/.exec(this.#text.slice(this.#at, this.#at + 34))![0];
    const end = this.#text.indexOf(tag, this.#at + tag.length);
    this.#literal();
    this.#at = end < 0 ? this.#text.length : end + tag.length;
  }

  #word(): void {
    const text = this.#text;
    let to = this.#at + 1;
    while (to < text.length && WORD.test(text[to]!)) to++;
    const word = text.slice(this.#at, to);
    const quote = text[to];
    if (/^\d/.test(word)) this.#number(to);
    else if (word.length === 1 && (quote === "'" || quote === '"') && /[nebxu]/i.test(word)) this.#at = to;
    else {
      if (/^(?:values|in)$/i.test(word)) this.#values = true;
      else if (/^(?:select|from|where|returning|on|set|order|group)$/i.test(word)) this.#values = false;
      if (this.#document && !DOCUMENT_WORD.test(word) && !this.#isBareKey(to)) this.#literal();
      else this.#write(word);
      this.#at = to;
    }
  }

  #isBareKey(to: number): boolean {
    return /^\s{0,8}[:.(]/.test(this.#text.slice(to, to + 9)) || this.#tail.endsWith('.');
  }

  #number(to: number): void {
    const rest = /^(?:\.\w+)?(?:(?<=[eE])[+-]\d+)?/.exec(this.#text.slice(to, to + 32))![0];
    this.#literal();
    this.#at = to + rest.length;
  }
}

function maskLiterals(text: string, document = false): { text: string; literals: number } {
  const masker = new LiteralMasker(text, document);
  const masked = masker.run();
  return { text: masked, literals: masker.literals };
}

/** A GraphQL document without its string and number literals. */
export function scrubGraphql(text: string): { text: string; literals: number } {
  let literals = 0;
  const masked = text
    .replace(/"""[\s\S]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*(?:"|(?=\n)|$)/g, () => {
      literals++;
      return '?';
    })
    .replace(/#[^\n]*/g, '')
    .replace(/(?<=[:[,(]\s{0,8})-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b/g, () => {
      literals++;
      return '?';
    });
  return { text: masked, literals };
}
