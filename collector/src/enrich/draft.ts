import type { FieldKey } from '@spanwarden/rules';
import type { Pseudonym } from '../base/pseudonym.ts';
import type { PathTree } from '../base/trace.ts';
import type { Exposure, PathHop } from './hop.ts';

/** What the operator says about the estate; everything else is observed. */
export interface EstateSettings {
  /** Host names (`*` stands for any characters) that are ours although they look public: calls to them are no egress. */
  readonly ownHosts: readonly string[];
  /** Declared exposure of services (`*` stands for any characters); the first that fits wins. */
  readonly exposures: readonly { readonly service: string; readonly exposure: Exposure }[];
}

export interface EnrichSettings {
  readonly estate: EstateSettings;
  /** Without it, object ids are not derived from paths. */
  readonly pseudonym?: Pseudonym | undefined;
}

/** A call path while it is enriched: its hops, cut ones included, in the order of the tree. */
export interface PathDraft {
  readonly tree: PathTree;
  readonly hops: readonly PathHop[];
}

/** What an enricher writes: fields that rules see, and marks on hops that later enrichers and the call graph read. */
export type Written = FieldKey | 'serves' | 'isNested' | 'localRoot' | 'operationKey' | 'operationId';

/** One question about a call path. It writes what it declares on the hops of a draft and nothing else. */
export interface Enricher {
  readonly name: string;
  /** What it reads of what other enrichers wrote. */
  readonly reads: readonly Written[];
  readonly writes: readonly Written[];
  /** Why it stands where it stands in the list. */
  readonly because: string;
  readonly run: (draft: PathDraft) => void;
}

/** The parent of a hop; undefined for the root. */
export function parentOf(draft: PathDraft, hop: PathHop): PathHop | undefined {
  return hop.parent === -1 ? undefined : draft.hops[hop.parent];
}
