import { canonicalJson } from './compile/canonical-json.ts';
import { compileRule, type Outcome } from './compile/compile-rule.ts';
import type { Unknown } from './compile/missing.ts';
import { sha256Hex } from './compile/sha256.ts';
import { Sheet } from './compile/sheet.ts';
import { tooComplexMatch } from './compile/too-complex.ts';
import { Tree } from './compile/tree.ts';
import { type ParsedRule, parseDocuments } from './language/parse-documents.ts';
import type { RuleError } from './language/rule-error.ts';
import type { RuleSource } from './language/yaml-node.ts';
import type { RuleTest, Suppress } from './model/ast.ts';
import type { CallPath } from './model/call-path.ts';
import { ENGINE_VERSION } from './model/engine-version.ts';
import type { RuleMatch, RuleRef } from './model/finding.ts';
import type { Scalar } from './model/value.ts';

/** What is known of a rule without evaluating it. */
export interface RuleInfo extends RuleRef {
  readonly question: string;
  readonly description: string | undefined;
  readonly references: readonly string[];
  readonly falsepositives: readonly string[];
  readonly blindspots: readonly string[];
  readonly requires: 'complete' | 'any';
  readonly suppress: Suppress | undefined;
  readonly enabled: boolean;
  readonly tests: readonly RuleTest[];
}

/** What the rules of a set say about one call path; a rule that is named nowhere here says "no". */
export interface Evaluation {
  readonly matches: readonly RuleMatch[];
  /** Rules that could not answer: `missing` is a signal group, a field, `completeness`, `clock`, `each-limit` or `join-budget`. */
  readonly unknowns: readonly Unknown[];
  /** Matches that an exception in force accepts. */
  readonly excepted: readonly { readonly rule: string; readonly count: number }[];
}

export interface RuleSet {
  /** Ordered by id. */
  readonly rules: readonly RuleInfo[];
  /**
   * Answers every enabled rule about one call path. A pure function of the call path: equal paths give equal answers,
   * in the order of rule ids.
   */
  evaluate(path: CallPath): Evaluation;
}

export interface RuleSettings {
  /** Lists that replace those of the same name in documents. */
  readonly lists?: Readonly<Record<string, readonly Scalar[]>>;
}

export interface ParsedRules {
  /** Undefined when anything is wrong with any text. */
  readonly ruleSet: RuleSet | undefined;
  /** All mistakes, ordered by path and place. */
  readonly errors: readonly RuleError[];
}

/** Rule texts -> a set that evaluates, or every mistake with line and column. `path` is relative to the rules folder. */
export function parseRules(sources: readonly RuleSource[], settings: RuleSettings = {}): ParsedRules {
  const { rules, errors } = parseDocuments(sources, settings.lists ?? {});
  return { ruleSet: errors.length > 0 ? undefined : createRuleSet(rules), errors };
}

const NOTHING: Evaluation = { matches: [], unknowns: [], excepted: [] };

function createRuleSet(parsed: readonly ParsedRule[]): RuleSet {
  const tree = new Tree();
  const sheet = new Sheet();
  const infos = parsed.map(toInfo);
  const compiled = parsed.flatMap(({ rule }, i) =>
    rule.enabled ? [compileRule(rule, toRef(infos[i]!), tree, sheet)] : [],
  );
  return {
    rules: infos,
    evaluate: (path) => {
      if (path.hops.length === 0) {
        return NOTHING;
      }
      const outcome: Outcome = { matches: [], unknowns: [], excepted: [], exhausted: [] };
      tree.reset(path);
      sheet.reset(path);
      for (let i = 0; i < compiled.length; i++) {
        compiled[i]!.evaluate(path, outcome);
      }
      if (outcome.exhausted.length > 0) {
        outcome.matches.push(tooComplexMatch(path, outcome.exhausted));
      }
      const { matches, unknowns, excepted } = outcome;
      return { matches, unknowns, excepted };
    },
  };
}

/** The content hash covers all that can change a verdict or its text: the document, lists, exceptions, overrides. */
function toInfo({ rule, content }: ParsedRule): RuleInfo {
  const { id, version, title, level, status, tags, respond, question, description, references } = rule;
  const { falsepositives, blindspots, requires, suppress, enabled, tests, selections, exceptions } = rule;
  // Selections again, since here the lists are inserted; the order of keys in a document means nothing.
  const resolved = Object.fromEntries(
    selections.map(({ name, alternatives }) => [name, alternatives.map((all) => all.map(canonicalJson).toSorted())]),
  );
  const hash = sha256Hex(canonicalJson({ content, resolved, exceptions }));
  return {
    ...{ id, version, engineVersion: ENGINE_VERSION, title, level, status, hash, tags, respond },
    ...{ question, description, references, falsepositives, blindspots, requires, suppress, enabled, tests },
  };
}

function toRef({ id, version, engineVersion, title, level, status, hash, tags, respond }: RuleInfo): RuleRef {
  return { id, version, engineVersion, title, level, status, hash, tags, respond };
}
