/** What is wrong with a rule text; each code stands for one kind of mistake and never changes its meaning. */
export type RuleErrorCode =
  | 'E_YAML' // not YAML, or not a map
  | 'E_KEY' // a key that does not exist here
  | 'E_MISSING' // a key that must be there
  | 'E_KIND' // none or several bodies, or a kind this engine does not evaluate
  | 'E_ID' // id and file path differ, or an id is used twice
  | 'E_TYPE' // a value of the wrong type or outside the allowed ones
  | 'E_FIELD' // a field name or modifier that cannot work
  | 'E_NAME' // a name that is no selection, rule or list
  | 'E_CONDITION' // the condition does not parse
  | 'E_NEGATION' // a negative name used as if it were found
  | 'E_WHERE' // a where clause that does not parse or can never apply
  | 'E_GATE' // absence is asked for without saying what completeness it needs
  | 'E_REGEX' // not RE2 syntax
  | 'E_LIST' // a list that does not exist, exists twice or holds more than scalars
  | 'E_LIMIT' // too long, too many
  | 'E_TEST' // an inline test that contradicts itself
  | 'E_ENGINE'; // written for another engine version

/** Where in which text, both counted from 1. */
export interface Place {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

export interface RuleError extends Place {
  readonly code: RuleErrorCode;
  readonly message: string;
}

/** `access/gateway-bypass.yaml:12:26: E_NAME "internl" is not a selection; did you mean "internal"?` */
export function formatRuleError(error: RuleError): string {
  return `${error.path}:${error.line}:${error.column}: ${error.code} ${error.message}`;
}

/** Collects every mistake of a run, so that an author sees all of them at once. */
export class Problems {
  readonly #errors: RuleError[] = [];

  add(place: Place, code: RuleErrorCode, message: string): void {
    this.#errors.push({ path: place.path, line: place.line, column: place.column, code, message });
  }

  get count(): number {
    return this.#errors.length;
  }

  /** Ordered by path and place. */
  sorted(): readonly RuleError[] {
    return this.#errors.toSorted(
      (a, b) => compare(a.path, b.path) || a.line - b.line || a.column - b.column || compare(a.code, b.code),
    );
  }
}

function compare(a: string, b: string): number {
  if (a === b) {
    return 0;
  }
  return a < b ? -1 : 1;
}
