import type { Condition, Each, Where } from '../model/ast.ts';
import type { Place, Problems } from './rule-error.ts';

/** What a condition does with its names, found without any span. */
export interface NameUse {
  /** True where a name is negative or an aggregate is not `>` or `>=`: absence counts. */
  readonly asksAbsence: boolean;
}

/** A set of names bound at one place of a condition, and the names left of a `!op` tested there. */
interface Scope {
  readonly bound: ReadonlySet<string>;
}

/**
 * Checks how names are used: a branch must find something, a name left of `!op` may appear nowhere else, and each
 * `where` clause needs a place where all of its names stand for a span.
 */
export function checkNames(
  condition: Condition,
  each: Each | undefined,
  wheres: readonly { readonly where: Where; readonly at: Place }[],
  at: Place,
  problems: Problems,
): NameUse {
  const uses = collectUses(condition);
  for (const name of uses.anti) {
    if (uses.anti.filter((other) => other === name).length > 1 || uses.found.has(name) || uses.counted.has(name)) {
      problems.add(at, 'E_NEGATION', `"${name}" stands left of a negated relation, so it can be used nowhere else`);
    }
  }
  if (each !== undefined && uses.anti.includes(each.name)) {
    problems.add(at, 'E_NEGATION', `"each" needs a span that is found, "${each.name}" is one that must not be there`);
  }
  const empty = branchesOf(condition).some((branch) => !findsSomething(branch));
  if (empty) {
    problems.add(at, 'E_NEGATION', 'each "or" branch must find something: a name that is not negated, or a count');
  }
  const scopes = collectScopes(condition, new Set());
  for (const { where, at: whereAt } of wheres) {
    const names = namesOf(where);
    if (!scopes.some((scope) => names.every((name) => scope.bound.has(name)))) {
      const unused = names.find((name) => !uses.found.has(name) && !uses.anti.includes(name));
      const why =
        unused === undefined
          ? `${names.join(' and ')} never stand for spans together`
          : `the condition never binds "${unused}"`;
      problems.add(whereAt, 'E_WHERE', `the clause can never apply: ${why}`);
    }
  }
  return { asksAbsence: uses.anti.length > 0 || uses.hasNot || uses.hasUpperBound };
}

export function namesOf(where: Where): readonly string[] {
  const names = [where.left, where.right].flatMap((operand) => (operand.kind === 'field' ? [operand.name] : []));
  return [...new Set(names)];
}

interface Uses {
  readonly found: Set<string>;
  readonly anti: string[];
  readonly counted: Set<string>;
  hasNot: boolean;
  hasUpperBound: boolean;
}

function collectUses(condition: Condition, uses: Uses = emptyUses()): Uses {
  switch (condition.kind) {
    case 'and':
    case 'or':
      for (const term of condition.terms) {
        collectUses(term, uses);
      }
      return uses;
    case 'not':
      uses.hasNot = true;
      return collectUses(condition.term, uses);
    case 'chain':
      for (const [i, name] of condition.names.entries()) {
        if (condition.anti && i === 0) {
          uses.anti.push(name);
        } else {
          uses.found.add(name);
        }
      }
      return uses;
    case 'count':
    case 'distinct':
      uses.counted.add(condition.name);
      uses.hasUpperBound ||= condition.comparison !== '>' && condition.comparison !== '>=';
      return uses;
  }
}

function emptyUses(): Uses {
  return { found: new Set(), anti: [], counted: new Set(), hasNot: false, hasUpperBound: false };
}

function branchesOf(condition: Condition): readonly Condition[] {
  return condition.kind === 'or' ? condition.terms.flatMap(branchesOf) : [condition];
}

function findsSomething(condition: Condition): boolean {
  switch (condition.kind) {
    case 'and':
      return condition.terms.some(findsSomething);
    case 'or':
      return condition.terms.every(findsSomething);
    case 'not':
      return false;
    case 'chain':
    case 'count':
    case 'distinct':
      return true;
  }
}

/** Names bound after a condition, given those bound before it: only what every branch binds is sure. */
export function boundAfter(condition: Condition, before: ReadonlySet<string>): ReadonlySet<string> {
  switch (condition.kind) {
    case 'and':
      return condition.terms.reduce((bound, term) => boundAfter(term, bound), before);
    case 'or': {
      const [first, ...others] = condition.terms.map((term) => boundAfter(term, before));
      return new Set([...first!].filter((name) => others.every((other) => other.has(name))));
    }
    case 'chain':
      return new Set([...before, ...(condition.anti ? condition.names.slice(1) : condition.names)]);
    default:
      return before;
  }
}

function collectScopes(condition: Condition, before: ReadonlySet<string>): readonly Scope[] {
  switch (condition.kind) {
    case 'or':
      return condition.terms.flatMap((term) => collectScopes(term, before));
    case 'not':
      return collectScopes(condition.term, before);
    case 'and': {
      const terms = flatten(condition.terms);
      const scopes: Scope[] = [];
      let bound = before;
      for (const term of terms) {
        scopes.push(...collectScopes(term, bound));
        bound = boundAfter(term, bound);
      }
      // An anti-join is tested when its whole `and` is bound.
      const antis = terms.flatMap((term) => (term.kind === 'chain' && term.anti ? [term.names[0]!] : []));
      return [...scopes, { bound }, ...antis.map((name) => ({ bound: new Set([...bound, name]) }))];
    }
    case 'chain': {
      const bound = boundAfter(condition, before);
      return condition.anti ? [{ bound }, { bound: new Set([...bound, condition.names[0]!]) }] : [{ bound }];
    }
    default:
      return [];
  }
}

/** An `and` inside an `and` is the same list of terms. */
export function flatten(terms: readonly Condition[]): readonly Condition[] {
  return terms.flatMap((term) => (term.kind === 'and' ? flatten(term.terms) : [term]));
}
