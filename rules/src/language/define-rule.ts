import type { Level, Maturity } from '../model/finding.ts';
import type { Scalar } from '../model/value.ts';
import type { RuleSource } from './yaml-node.ts';

type SelectionText = Readonly<Record<string, Scalar | readonly Scalar[]>>;

/** A path rule as TypeScript sees it: the keys of the YAML document. */
export interface RuleDefinition {
  readonly id: string;
  readonly title: string;
  readonly question: string;
  readonly level: Level;
  readonly status?: Maturity;
  readonly version?: number;
  readonly required_engine_version?: string;
  readonly description?: string;
  readonly references?: readonly string[];
  readonly tags?: readonly string[];
  readonly falsepositives?: readonly string[];
  readonly blindspots?: readonly string[];
  readonly respond?: readonly string[];
  readonly explain?: string;
  readonly requires?: 'complete' | 'any';
  readonly dedup?: string | { readonly key?: readonly string[]; readonly window?: string };
  readonly suppress?: Readonly<Record<string, string | readonly string[]>>;
  readonly exceptions?: readonly { readonly match: SelectionText; readonly reason: string; readonly expires: string }[];
  readonly detection: {
    readonly condition: string;
    readonly where?: string | readonly string[];
    readonly each?: string;
    readonly [selection: string]: SelectionText | readonly SelectionText[] | string | readonly string[] | undefined;
  };
  readonly tests?: readonly {
    readonly name: string;
    readonly match?: boolean | 'unknown';
    readonly near_miss?: boolean;
    readonly fixture?: string;
  }[];
}

/**
 * A rule written in TypeScript, as a source for `parseRules`: it takes the very way of a YAML file (JSON is YAML), so
 * that it gives the same syntax tree and the same errors.
 */
export function defineRule(definition: RuleDefinition): RuleSource {
  return { path: `${definition.id}.yaml`, text: JSON.stringify(definition, undefined, 2) };
}
