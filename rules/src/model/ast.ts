import type { Level, Maturity } from './finding.ts';
import type { Scalar } from './value.ts';

/** How a field is compared; `equals` is the default and knows the wildcards `*` and `?`. */
export type Operator =
  | 'equals'
  | 'contains'
  | 'startswith'
  | 'endswith'
  | 're'
  | 'cidr'
  | 'gt'
  | 'gte'
  | 'lt'
  | 'lte'
  | 'exists';

/** One line of a selection: `field|modifiers: values`. Lists (`$name`) are already inserted. */
export interface FieldTest {
  readonly field: string;
  readonly operator: Operator;
  readonly values: readonly Scalar[];
  /** `|ne`: the field is present and no element passes. */
  readonly negated: boolean;
  readonly ignoreCase: boolean;
  /** `|all`: each value needs an element that passes, not just one of them. */
  readonly all: boolean;
  /** `|fieldref`: the values are names of fields of the same span. */
  readonly fieldref: boolean;
}

/** Spans by a name: any of the alternatives, each with all of its tests. */
export interface Selection {
  readonly name: string;
  readonly alternatives: readonly (readonly FieldTest[])[];
}

/** `A >> B`: B is a descendant of A; `>` child; `<<`, `<` the reverse; `~` siblings; `~>` B starts after A ended. */
export type Relation = '>>' | '>' | '<<' | '<' | '~' | '~>';
export type Comparison = '>=' | '>' | '<=' | '<' | '==' | '!=';

/** `relations[i]` stands between `names[i]` and `names[i + 1]`. */
export interface Chain {
  readonly kind: 'chain';
  readonly names: readonly string[];
  readonly relations: readonly Relation[];
  /** `A !op B`: no span of the first name stands in that relation to the second. */
  readonly anti: boolean;
}

export interface Aggregate {
  readonly kind: 'count' | 'distinct';
  readonly name: string;
  /** The field whose elements `distinct` counts; undefined for `count`. */
  readonly field: string | undefined;
  readonly comparison: Comparison;
  readonly bound: number;
}

export type Condition =
  | Chain
  | Aggregate
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Condition[] }
  | { readonly kind: 'not'; readonly term: Condition };

export type Operand =
  | { readonly kind: 'field'; readonly name: string; readonly field: string }
  | { readonly kind: 'literal'; readonly value: Scalar };

/** Relates values of spans that the condition found; `contains`: the left array holds the right scalar. */
export interface Where {
  readonly left: Operand;
  readonly comparison: Comparison | 'contains';
  readonly right: Operand;
}

/** `A where sel.each`: the element of this array field that makes the candidate. */
export interface Each {
  readonly name: string;
  readonly field: string;
}

/** A match that is known and accepted until a day: counted, not reported. */
export interface RuleException {
  readonly match: readonly (readonly FieldTest[])[];
  readonly reason: string;
  /** Event time in microseconds from which the exception no longer holds. */
  readonly expiresUs: number;
}

export interface Dedup {
  /** Names of fields, or `selection.field`. */
  readonly key: readonly string[];
  readonly windowMs: number;
}

/** When a stored finding is not notified. */
export type Suppress =
  | { readonly by: readonly string[]; readonly same: readonly string[]; readonly windowMs: number }
  | { readonly afterDeployMs: number };

export interface RuleTest {
  readonly name: string;
  readonly match: boolean | 'unknown';
  readonly nearMiss: boolean;
  /** Path below `rules/fixtures/`. */
  readonly fixture: string;
}

/** Text pieces and the values between them. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'field'; readonly name: string; readonly field: string; readonly format: Format | undefined }
  | { readonly kind: 'count'; readonly name: string; readonly format: Format | undefined }
  | { readonly kind: 'word'; readonly word: TemplateWord; readonly format: Format | undefined };
export type Format = 'count' | 'bytes' | 'date' | 'duration';
export type TemplateWord = 'principal' | 'endpoint' | 'services' | 'records' | 'since';

/** A yes/no question about one call path, as data. */
export interface PathRule {
  readonly id: string;
  readonly title: string;
  readonly question: string;
  readonly level: Level;
  readonly status: Maturity;
  readonly version: number;
  readonly enabled: boolean;
  readonly description: string | undefined;
  readonly references: readonly string[];
  readonly tags: readonly string[];
  readonly falsepositives: readonly string[];
  readonly blindspots: readonly string[];
  readonly respond: readonly string[];
  readonly explain: readonly TemplatePart[] | undefined;
  /** `complete`: a yes on a call path that is not known whole becomes unknown. */
  readonly requires: 'complete' | 'any';
  readonly dedup: Dedup;
  readonly suppress: Suppress | undefined;
  readonly selections: readonly Selection[];
  readonly each: Each | undefined;
  readonly where: readonly Where[];
  readonly condition: Condition;
  /** Own exceptions and those of separate documents. */
  readonly exceptions: readonly RuleException[];
  readonly tests: readonly RuleTest[];
}
