export * from './model/call-path.ts';
export * from './model/field.ts';
export * from './model/finding.ts';
export * from './model/value.ts';
