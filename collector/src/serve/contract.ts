import { z } from 'zod';

/**
 * Every body of the REST API: the types that clients use, and the schemas that the OpenAPI document is made from. Times
 * are RFC 3339 UTC with milliseconds unless a name says `UnixUs`; ids are lower-case hex; absent is null.
 */

const list = <T extends z.ZodType>(of: T) => z.array(of).readonly();
const time = z.iso.datetime({ precision: 3 }).describe('RFC 3339, UTC, milliseconds');
const count = z.int().nonnegative();
const unixUs = z.int().describe('microseconds since the Unix epoch');
const traceId = z.string().regex(/^[0-9a-f]{32}$/);
const spanId = z.string().regex(/^[0-9a-f]{16}$/);
const scalar = z.union([z.string(), z.number(), z.boolean()]);
const attributes = z.record(z.string(), z.union([scalar, list(scalar)]));

export const SEVERITIES = ['info', 'low', 'medium', 'high', 'critical'] as const;
export const STATUSES = ['open', 'triaged', 'confirmed', 'resolved', 'archived'] as const;
export const ARCHIVE_REASONS = [
  'false_positive',
  'expected',
  'testing',
  'accepted_risk',
  'remediated',
  'duplicate',
  'other',
] as const;
export const EXPOSURES = ['external', 'partner', 'third-party', 'internal', 'unknown'] as const;
export const API_STYLES = ['rest', 'http', 'graphql', 'grpc', 'soap', 'xml-rpc', 'json-rpc'] as const;
const NODE_KINDS = ['service', 'operation', 'store', 'queue', 'external', 'client'] as const;
const GRAPH_LEVELS = ['service', 'operation'] as const;

const findingShape = {
  id: z
    .string()
    .regex(/^F-[0-9a-f]{1,12}$/)
    .describe('short name of the fingerprint'),
  fingerprint: z.string().describe('`v1:` and SHA-256 of the rule id and what the rule tells findings apart by'),
  rule: z.strictObject({ id: z.string(), version: z.int(), title: z.string() }),
  severity: z.enum(SEVERITIES),
  confidence: z.enum(['low', 'medium', 'high']).describe('how far the rule has been tried: experimental, test, stable'),
  status: z.enum(STATUSES),
  summary: z.string().describe('one sentence: what happened'),
  subject: z.strictObject({ kind: z.string(), id: z.string() }).describe('who or what the finding is about'),
  operation: z.string().nullable().describe('entry operation, null when unknown'),
  principal: z.string().nullable().describe('pseudonym of who asked, null when unknown'),
  firstSeen: time,
  detectableAt: time.describe('when the first call path that shows it was complete'),
  raisedAt: time.describe('detectableAt plus the silence after which a trace closes; event time'),
  lastSeen: time,
  dwellMs: count.describe('lastSeen minus firstSeen'),
  count: count.describe('call paths that show it'),
  records: count.describe('records that those call paths answered or read'),
  traceIds: list(traceId).describe('up to 20: the earliest ten and the latest ten'),
};

export const findingView = z.strictObject(findingShape);
export type FindingView = z.infer<typeof findingView>;
export type Severity = FindingView['severity'];
export type FindingStatus = FindingView['status'];

const evidenceSpan = z.strictObject({
  spanId,
  parentSpanId: z.string().describe("'' for none"),
  service: z.string(),
  kind: z.string(),
  name: z.string(),
  operation: z.string(),
  roles: list(z.string()).describe('names that the rule gave this span; none when it only connects others'),
  startUnixUs: unixUs,
  durationUs: count,
  status: z.string(),
  attributes,
});

const auditEntry = z.strictObject({
  entry: z.int(),
  at: time,
  actor: z.string(),
  action: z.string(),
  change: z.record(z.string(), z.string().nullable()),
});

export const findingDetail = z.strictObject({
  ...findingShape,
  revision: z.int().describe('grows with every change of the stored finding; also the ETag'),
  episodes: count.describe('stretches of activity separated by more silence than the rule allows'),
  explanation: z.string(),
  key: list(z.strictObject({ field: z.string(), value: z.string() })).describe('what the fingerprint is made of'),
  evidence: z
    .strictObject({
      traceId,
      entrySpanId: spanId,
      spans: list(evidenceSpan).describe('connected spans of the earliest call path, with the roles they play'),
      measures: list(z.strictObject({ clause: z.string(), observed: z.string() })),
      baseline: z.null(),
    })
    .nullable(),
  ruleDetail: z.strictObject({
    status: z.string(),
    hash: z.string().describe('SHA-256 of the rule with the lists, exceptions and overrides in force'),
    engineVersion: z.int(),
    tags: list(z.string()),
  }),
  responseAdvice: list(z.string()),
  suggestedRateLimit: z.null(),
  triage: z.strictObject({
    reason: z.enum(ARCHIVE_REASONS).nullable(),
    until: time.nullable(),
    note: z.string().nullable(),
    changedAt: time.nullable(),
  }),
  history: list(auditEntry).describe('changes of status, newest first'),
});
export type FindingDetail = z.infer<typeof findingDetail>;

export const findingPage = z.strictObject({ items: list(findingView), nextCursor: z.string().nullable() });
export type FindingPage = z.infer<typeof findingPage>;

const NOTE_CHARACTERS = 2000;
export const findingPatch = z
  .strictObject({
    status: z.enum(STATUSES),
    reason: z.enum(ARCHIVE_REASONS).optional().describe('with status archived, and only then'),
    until: z.iso.datetime({ offset: true }).optional().describe('an archived finding opens again then'),
    note: z.string().max(NOTE_CHARACTERS).optional(),
  })
  .refine(({ status, reason }) => status !== 'archived' || reason !== undefined, {
    path: ['reason'],
    message: `archiving needs a reason: ${ARCHIVE_REASONS.join(', ')}`,
  })
  .refine(({ status, reason }) => status === 'archived' || reason === undefined, {
    path: ['reason'],
    message: 'only status archived has a reason',
  })
  .refine(({ status, until }) => status === 'archived' || until === undefined, {
    path: ['until'],
    message: 'only status archived has an end',
  })
  .refine(({ reason, note }) => reason !== 'other' || (note !== undefined && note.trim() !== ''), {
    path: ['note'],
    message: 'reason other needs a note that gives it',
  });
export type FindingPatch = z.infer<typeof findingPatch>;

export const operationView = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  service: z.string(),
  style: z.enum(API_STYLES),
  method: z.string().describe("HTTP method, '' where the style has none"),
  route: z.string().describe('route template, rpc method or GraphQL operation'),
  exposure: z.enum(EXPOSURES).describe('the outermost kind of caller that was seen'),
  exposures: list(z.strictObject({ exposure: z.string(), calls: count })),
  authn: z.strictObject({
    state: z
      .enum(['authenticated', 'mixed', 'none', 'not observed'])
      .describe('`not observed` is no "no": nothing said which credential the calls carried'),
    schemes: list(z.strictObject({ scheme: z.string(), calls: count })),
    verified: list(z.strictObject({ verified: z.string(), calls: count })),
  }),
  dataTypes: list(z.string()),
  dataFlows: list(
    z.strictObject({ type: z.string(), direction: z.enum(['request', 'response']), calls: count, records: z.int() }),
  ),
  versions: list(z.string()),
  callers: list(z.string()),
  documented: z.null().describe('null until specifications can be declared'),
  state: z.null().describe('null until specifications can be declared'),
  risk: z.strictObject({
    score: z.int().min(0).max(100),
    reasons: list(z.strictObject({ factor: z.string(), points: z.int() })).describe(
      'points the score loses without each',
    ),
  }),
  calls: count,
  errors: z.int(),
  firstSeen: time,
  lastSeen: time,
});
export type OperationView = z.infer<typeof operationView>;

export const operationPage = z.strictObject({ items: list(operationView), nextCursor: z.string().nullable() });
export type OperationPage = z.infer<typeof operationPage>;

export const callGraphView = z.strictObject({
  nodes: list(
    z.strictObject({
      id: z.string(),
      kind: z.enum(NODE_KINDS),
      name: z.string(),
      service: z.string().nullable().describe('service of an operation, null elsewhere'),
    }),
  ),
  edges: list(
    z.strictObject({
      from: z.string(),
      to: z.string(),
      kind: z.enum(GRAPH_LEVELS),
      fromKind: z.enum(NODE_KINDS),
      toKind: z.enum(NODE_KINDS),
      calls: count.describe('all calls so far, also of an edge that was chosen by its time'),
      errors: z.int(),
      dataTypes: list(z.strictObject({ type: z.string(), records: z.int() })),
      firstSeen: time,
      lastSeen: time,
    }),
  ),
  truncated: z.boolean().describe('true when a limit left edges out; those with most calls were kept'),
});
export type CallGraphView = z.infer<typeof callGraphView>;

const completeness = z.strictObject({
  complete: z.boolean().describe('nothing is known to be missing'),
  score: z.number().min(0).max(1),
  reasons: list(z.string()),
  missingParents: count,
  missingAnswers: count,
  droppedSpans: count,
});

export const traceView = z.strictObject({
  traceId,
  revision: z.int().describe('1 from the first close on; grows each time late spans amend the trace'),
  completeness,
  spans: list(
    z.strictObject({
      spanId,
      parentSpanId: z.string().describe("'' for none"),
      service: z.string(),
      kind: z.string(),
      name: z.string(),
      startUnixUs: unixUs,
      durationUs: count,
      status: z.string(),
      attributes,
    }),
  ),
  callPaths: list(
    z.strictObject({
      entrySpanId: spanId,
      completeness,
      hops: list(
        z.strictObject({
          spanId,
          parentSpanId: z.string().describe("'' for the entry"),
          depth: count,
          service: z.string(),
          operation: z.string().nullable(),
          principal: z.string().nullable(),
        }),
      ),
    }),
  ),
});
export type TraceView = z.infer<typeof traceView>;

export const readinessView = z.strictObject({ status: z.enum(['ready', 'not ready']), reasons: list(z.string()) });
export const healthView = z.strictObject({ status: z.literal('ok') });
export const indexView = z.strictObject({ name: z.literal('spanwarden'), links: z.record(z.string(), z.string()) });

/** RFC 9457 problem details. */
export const problem = z.strictObject({
  type: z.string().describe('`urn:spanwarden:problem:` and a stable code'),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  errors: list(z.strictObject({ where: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof problem>;
