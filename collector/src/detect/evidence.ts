import {
  type CallPath,
  FIELD_NAMES,
  Field,
  type FieldKey,
  type Hop,
  type RuleMatch,
  type Value,
} from '@spanwarden/rules';
import type { EvidenceSpan } from '../base/outcome.ts';

/**
 * A rule's match in, the spans that a person is shown out: identity, place and the few attributes that security turns
 * on. Attribute values were scrubbed before they were stored; nothing else is ever copied into a finding.
 */

const SHOWN: readonly FieldKey[] = [
  'operation',
  'exposure',
  'outcome',
  'callerService',
  'principalId',
  'principalType',
  'principalTenant',
  'principalActor',
  'identity',
  'authScheme',
  'authVerified',
  'tokenAlg',
  'event',
  'eventOutcome',
  'authzDecision',
  'authzPolicy',
  'authzOwnerMatch',
  'objectType',
  'objectIds',
  'objectCount',
  'effect',
  'requestSecretInUrl',
  'responseDataTypes',
  'responseDataClasses',
  'responseRecordCount',
  'egressDataTypes',
  'egressThirdParty',
  'clientAddress',
  'clientPublic',
  'serverAddress',
  'httpRequestMethod',
  'httpResponseStatusCode',
  'httpRoute',
  'httpRequestBodySize',
  'httpResponseBodySize',
  'dbSystemName',
  'dbOperationName',
  'dbCollectionName',
  'dbReturnedRows',
  'rpcMethod',
  'messagingDestinationName',
];

export function toEvidence(path: CallPath, match: RuleMatch): EvidenceSpan[] {
  return match.evidence.map(({ hop: index, roles }) => {
    const hop = path.hops[index]!;
    return {
      spanId: hop.spanId,
      parentSpanId: hop.parent < 0 ? '' : path.hops[hop.parent]!.spanId,
      service: text(hop, Field.serviceName),
      kind: text(hop, Field.spanKind),
      name: text(hop, Field.spanName),
      operation: text(hop, Field.operation),
      roles,
      startUnixUs: hop.startUs,
      durationUs: Math.max(0, hop.endUs - hop.startUs),
      status: text(hop, Field.spanStatus),
      attributes: shownAttributes(hop),
    };
  });
}

function text(hop: Hop, field: number): string {
  const value = hop.field(field);
  return value === undefined ? '' : String(value);
}

function shownAttributes(hop: Hop): Record<string, Value> {
  const attributes: Record<string, Value> = {};
  for (const key of SHOWN) {
    const value = hop.field(Field[key]);
    if (value !== undefined) attributes[FIELD_NAMES[Field[key]]!] = value;
  }
  return attributes;
}
