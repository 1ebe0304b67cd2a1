import type { Aggregate, Chain, Condition, Each, Relation } from '../model/ast.ts';
import type { Value } from '../model/value.ts';
import { compileAbsence, compileField } from './absence.ts';
import { compareInterval, compileAggregate } from './aggregate.ts';
import { JOIN_LIMITS, type Run } from './run.ts';
import { opposite, type Reading, UNKNOWN, type Verdict } from './verdict.ts';
import type { CompiledWhere } from './where.ts';

/**
 * One step of the search. It extends the run's bindings in every way it can and calls the next step for each; true ends
 * the search. Steps are linked when the rule is compiled, so that searching allocates nothing.
 */
export type Step = (run: Run, reading: Reading) => boolean;

const HOLDS: Step = () => true;

/** What the steps of one rule share. */
export interface ConditionScope {
  readonly names: readonly string[];
  readonly wheres: readonly CompiledWhere[];
  readonly each: Each | undefined;
}

/** Condition -> first step of its search; `last` is called with everything bound. */
export function compileCondition(condition: Condition, scope: ConditionScope, last: Step): Step {
  return new ConditionCompiler(scope).compile(condition, last);
}

class ConditionCompiler {
  readonly #scope: ConditionScope;

  constructor(scope: ConditionScope) {
    this.#scope = scope;
  }

  compile(condition: Condition, next: Step): Step {
    switch (condition.kind) {
      case 'and':
        return this.#and(condition.terms, next);
      case 'or': {
        const branches = condition.terms.map((term) => this.compile(term, next));
        return (run, reading) => branches.some((branch) => branch(run, reading));
      }
      case 'not': {
        const inner = this.compile(condition.term, HOLDS);
        return (run, reading) => !inner(run, opposite(reading)) && !run.isExhausted && next(run, reading);
      }
      case 'chain':
        return this.#and([condition], next);
      case 'count':
      case 'distinct':
        return this.#aggregate(condition, next);
    }
  }

  /** Terms from left to right; anti-joins wait for the end, where the names of their where clauses are bound. */
  #and(terms: readonly Condition[], next: Step): Step {
    const flat = terms.flatMap(function flatten(term): readonly Condition[] {
      return term.kind === 'and' ? term.terms.flatMap(flatten) : [term];
    });
    const antis = flat.filter((term): term is Chain => term.kind === 'chain' && term.anti);
    const tested = antis.reduceRight((after, anti) => this.#antiJoin(anti, after), next);
    return flat.reduceRight((after, term) => {
      return term.kind === 'chain' ? this.#chain(term, after) : this.compile(term, after);
    }, tested);
  }

  #aggregate(aggregate: Aggregate, next: Step): Step {
    const interval = compileAggregate(aggregate, this.#scope.names);
    return (run, reading) => {
      const verdict = compareInterval(interval(run), aggregate.comparison, aggregate.bound);
      run.sawUnknown ||= verdict === UNKNOWN;
      return verdict >= reading && next(run, reading);
    };
  }

  /** No span of the left name stands in the relation to the bound right one while its where clauses hold. */
  #antiJoin(chain: Chain, next: Step): Step {
    const left = this.#id(chain.names[0]!);
    const right = this.#id(chain.names[1]!);
    const related = compileRelation(chain.relations[0]!);
    const found = this.#bindHop(left, HOLDS);
    const exists: Step = (run, reading) => {
      for (const hop of run.candidates(left, reading)) {
        if (run.visit()) {
          return true;
        }
        if (related(run, hop, run.bound[right]!) >= reading && found(run, reading, hop)) {
          return true;
        }
      }
      return false;
    };
    return (run, reading) => !exists(run, opposite(reading)) && !run.isExhausted && next(run, reading);
  }

  #chain(chain: Chain, next: Step): Step {
    const names = (chain.anti ? chain.names.slice(1) : chain.names).map((name) => this.#id(name));
    const relations = chain.anti ? chain.relations.slice(1) : chain.relations;
    const forward = this.#line(names, relations, next);
    // From below, each span has few ancestors; from above, every descendant is a candidate.
    if (relations.length === 0 || !relations.every((relation) => relation === '>>' || relation === '>')) {
      return forward;
    }
    const upward = relations.toReversed().map((relation): Relation => (relation === '>>' ? '<<' : '<'));
    const backward = this.#line(names.toReversed(), upward, next);
    const first = names[0]!;
    return (run, reading) => (run.bound[first]! >= 0 ? forward(run, reading) : backward(run, reading));
  }

  #line(names: readonly number[], relations: readonly Relation[], next: Step): Step {
    const step = relations.reduceRight(
      (after, relation, i) => this.#link(names[i]!, relation, names[i + 1]!, after),
      next,
    );
    const first = names[0]!;
    const bind = this.#bindHop(first, step);
    return (run, reading) => {
      if (run.bound[first]! >= 0) {
        return step(run, reading);
      }
      for (const hop of run.candidates(first, reading)) {
        if (run.visit() || bind(run, reading, hop)) {
          return true;
        }
      }
      return false;
    };
  }

  /** Left is bound; right may be. */
  #link(left: number, relation: Relation, right: number, next: Step): Step {
    const related = compileRelation(relation);
    const bind = this.#bindHop(right, next);
    const search: Step =
      relation === '<' || relation === '<<'
        ? (run, reading) => searchUpward(run, reading, left, right, relation === '<', bind)
        : (run, reading) => {
            const from = run.bound[left]!;
            for (const hop of run.candidates(right, reading)) {
              if (run.visit()) {
                return true;
              }
              if (related(run, from, hop) >= reading && bind(run, reading, hop)) {
                return true;
              }
            }
            return false;
          };
    return (run, reading) =>
      run.bound[right]! >= 0
        ? related(run, run.bound[left]!, run.bound[right]!) >= reading && next(run, reading)
        : search(run, reading);
  }

  /** Binds a name to a hop, once or once per `each` element, while the where clauses that can be asked hold. */
  #bindHop(name: number, next: Step): BindHop {
    const wheres = this.#scope.wheres.filter((where) => where.names.includes(name));
    const proceed: Step = (run, reading) => {
      for (let i = 0; i < wheres.length; i++) {
        const where = wheres[i]!;
        if (!isBound(run, where)) {
          continue;
        }
        const verdict = where.test(run);
        run.sawUnknown ||= verdict === UNKNOWN;
        if (verdict < reading) {
          return false;
        }
      }
      return next(run, reading);
    };
    const { each } = this.#scope;
    if (each === undefined || this.#id(each.name) !== name) {
      return (run, reading, hop) => {
        run.bound[name] = hop;
        const isDone = proceed(run, reading);
        run.bound[name] = -1;
        return isDone;
      };
    }
    const read = compileField(each.field);
    const absent = compileAbsence(each.field);
    return (run, reading, hop) => {
      const value = read(run.path.hops[hop]!);
      if (value === undefined) {
        const verdict = absent(run.path.hops[hop]!);
        run.sawUnknown ||= verdict === UNKNOWN;
        if (verdict < reading) {
          return false;
        }
      }
      run.bound[name] = hop;
      const isDone = forEachElement(run, value, () => proceed(run, reading));
      run.bound[name] = -1;
      run.element = undefined;
      return isDone;
    };
  }

  #id(name: string): number {
    return this.#scope.names.indexOf(name);
  }
}

type BindHop = (run: Run, reading: Reading, hop: number) => boolean;

function isBound(run: Run, where: CompiledWhere): boolean {
  for (let i = 0; i < where.names.length; i++) {
    if (run.bound[where.names[i]!]! < 0) {
      return false;
    }
  }
  return true;
}

function forEachElement(run: Run, value: Value | undefined, proceed: () => boolean): boolean {
  if (typeof value !== 'object') {
    run.element = value;
    return proceed();
  }
  run.isEachCut ||= value.length > JOIN_LIMITS.eachMax;
  for (let i = 0; i < Math.min(value.length, JOIN_LIMITS.eachMax); i++) {
    run.element = value[i];
    if (run.visit() || proceed()) {
      return true;
    }
  }
  return false;
}

function searchUpward(
  run: Run,
  reading: Reading,
  left: number,
  right: number,
  isParentOnly: boolean,
  bind: BindHop,
): boolean {
  const { hops } = run.path;
  for (let hop = hops[run.bound[left]!]!.parent; hop >= 0; hop = hops[hop]!.parent) {
    if (run.visit()) {
      return true;
    }
    if (run.verdict(right, hop) >= reading && bind(run, reading, hop)) {
      return true;
    }
    if (isParentOnly) {
      return false;
    }
  }
  return false;
}

function compileRelation(relation: Relation): (run: Run, left: number, right: number) => Verdict {
  switch (relation) {
    case '>>':
      return (run, left, right) => (run.tree.isBelow(left, right) ? 2 : 0);
    case '<<':
      return (run, left, right) => (run.tree.isBelow(right, left) ? 2 : 0);
    case '>':
      return (run, left, right) => (run.path.hops[right]!.parent === left ? 2 : 0);
    case '<':
      return (run, left, right) => (run.path.hops[left]!.parent === right ? 2 : 0);
    case '~':
      return (run, left, right) => (isSibling(run, left, right) ? 2 : 0);
    case '~>':
      return (run, left, right) => run.order(left, right);
  }
}

function isSibling({ path }: Run, left: number, right: number): boolean {
  const parent = path.hops[left]!.parent;
  return left !== right && parent >= 0 && parent === path.hops[right]!.parent;
}
