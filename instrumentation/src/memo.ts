/**
 * Remembers what a pure function of a short text gave. The memory is emptied when it is full, so that hostile input costs time but no
 * space; texts longer than `charsMax` are not remembered.
 */
export function memo<T>(compute: (text: string) => T, entriesMax: number, charsMax: number): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    if (text.length > charsMax) return compute(text);
    const found = known.get(text);
    if (found !== undefined || known.has(text)) return found as T;
    const computed = compute(text);
    if (known.size >= entriesMax) known.clear();
    known.set(text, computed);
    return computed;
  };
}
