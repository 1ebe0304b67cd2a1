/** What an attribute can hold once decoded: bytes, maps and mixed arrays have become strings or are gone by then. */
export type Scalar = string | number | boolean;
export type Value = Scalar | readonly Scalar[];
