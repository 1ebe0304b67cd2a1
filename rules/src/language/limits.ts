/** What one rule text may ask for. Reaching one is the error `E_LIMIT`, never a silent cut. */
export const LANGUAGE_LIMITS = {
  fileBytesMax: 64 * 1024,
  aliasesMax: 100,
  depthMax: 32,
  selectionsMax: 16,
  termsMax: 32,
  regexCharsMax: 256,
  listItemsMax: 10_000,
} as const;
