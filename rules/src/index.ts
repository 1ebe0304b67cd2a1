export type { Unknown } from './compile/missing.ts';
export { defineRule, type RuleDefinition } from './language/define-rule.ts';
export { formatRuleError, type RuleError, type RuleErrorCode } from './language/rule-error.ts';
export type { RuleSource } from './language/yaml-node.ts';
export type { RuleTest, Suppress } from './model/ast.ts';
export * from './model/call-path.ts';
export { callPathOf, type PathSketch, type SpanSketch } from './model/call-path-of.ts';
export { ENGINE_VERSION } from './model/engine-version.ts';
export * from './model/field.ts';
export * from './model/finding.ts';
export * from './model/value.ts';
export {
  type Evaluation,
  type ParsedRules,
  parseRules,
  type RuleInfo,
  type RuleSet,
  type RuleSettings,
} from './rule-set.ts';
export { runTests, type TestResult } from './run-tests.ts';
