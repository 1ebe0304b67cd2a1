import { FIELD_COUNT, Field, type FieldKey, type Value } from '@spanwarden/rules';
import { type SpanBatch, toValue } from '../base/batch.ts';

/**
 * One pass over the attributes of a span picks out what enrichment reads, so that no enricher scans them again.
 */

/** The attributes that enrichment looks at. */
const WANTED: readonly FieldKey[] = [
  'apisecVersion',
  'authScheme',
  'authVerified',
  'event',
  'tokenId',
  'userHash',
  'principalKeyId',
  'principalPrevId',
  'principalType',
  'principalActor',
  'principalTenant',
  'sessionId',
  'objectType',
  'objectIds',
  'objectIdKind',
  'responseClassified',
  'responseRecordCount',
  'responseContentType',
  'edge',
  'contextTrust',
  'clientPublic',
  'apiStyle',
  'egressThirdParty',
  'httpRequestMethod',
  'httpResponseStatusCode',
  'httpRoute',
  'urlPath',
  'urlFull',
  'urlTemplate',
  'clientAddress',
  'clientServiceName',
  'serverAddress',
  'serverServiceName',
  'networkPeerAddress',
  'dbSystemName',
  'dbNamespace',
  'dbCollectionName',
  'dbOperationName',
  'dbReturnedRows',
  'rpcSystemName',
  'rpcMethod',
  'rpcStatusCode',
  'messagingSystemName',
  'messagingOperationType',
  'messagingDestinationName',
  'graphqlOperationName',
  'graphqlOperationType',
];

/** How many values are kept per span. */
export const FACT_COUNT: number = WANTED.length;

/** Place of a field among the kept values, -1 when it is not kept. */
export const FACT_PLACE: Int8Array = new Int8Array(FIELD_COUNT).fill(-1);
WANTED.forEach((key, place) => {
  FACT_PLACE[Field[key]] = place;
});

/** Ways that data passes a span. */
export type Direction = 'request' | 'response' | 'egress';

/** So many records with a value of this type passed a span. */
export interface DataSeen {
  readonly direction: Direction;
  /** Snake case, as in `apisec.response.data.<type>`. */
  readonly type: string;
  readonly records: number;
}

type DataKey = Pick<DataSeen, 'direction' | 'type'>;

const PREFIXES: readonly (readonly [prefix: string, direction: Direction])[] = [
  ['apisec.response.data.', 'response'],
  ['apisec.request.data.', 'request'],
  ['apisec.egress.data.', 'egress'],
];
const TYPE_CHARS_MAX = 40;

const dataKeysOf = new WeakMap<SpanBatch, readonly (DataKey | undefined)[] | 'none'>();

/** Which of the batch's own attribute keys count data; undefined when none does. */
function dataKeys(batch: SpanBatch): readonly (DataKey | undefined)[] | undefined {
  let known = dataKeysOf.get(batch);
  if (known === undefined) {
    const keys = batch.keys.map(toDataKey);
    known = keys.some((key) => key !== undefined) ? keys : 'none';
    dataKeysOf.set(batch, known);
  }
  return known === 'none' ? undefined : known;
}

function toDataKey(name: string): DataKey | undefined {
  if (!name.startsWith('apisec.')) return undefined;
  for (const [prefix, direction] of PREFIXES) {
    if (name.startsWith(prefix) && name.length <= prefix.length + TYPE_CHARS_MAX) {
      return { direction, type: name.slice(prefix.length) };
    }
  }
  return undefined;
}

export const NO_DATA: readonly DataSeen[] = Object.freeze([]);

/**
 * Writes the wanted values of a span to `into[at..]` and returns the data it counts, ordered by type. A count of 0 means
 * that the type was looked for and not found.
 */
export function gatherFacts(
  batch: SpanBatch,
  row: number,
  into: (Value | undefined)[],
  at: number,
): readonly DataSeen[] {
  const to = batch.attrFrom[row + 1]!;
  let data: DataSeen[] | undefined;
  for (let i = batch.attrFrom[row]!; i < to; i++) {
    const key = batch.attrKey[i]!;
    if (key < FIELD_COUNT) {
      const place = FACT_PLACE[key]!;
      if (place !== -1) into[at + place] = toValue(batch, batch.attrTag[i]!, batch.attrValue[i]!);
      continue;
    }
    const dataKey = dataKeys(batch)?.[key - FIELD_COUNT];
    if (dataKey === undefined) continue;
    const records = toValue(batch, batch.attrTag[i]!, batch.attrValue[i]!);
    if (typeof records === 'number' && records > 0) {
      data ??= [];
      data.push({ direction: dataKey.direction, type: dataKey.type, records });
    }
  }
  return data === undefined ? NO_DATA : data.sort(byType);
}

function byType(a: DataSeen, b: DataSeen): number {
  return a.type < b.type ? -1 : a.type > b.type ? 1 : 0;
}
