/** Tells whether a text passes; `value` is already folded when the test ignores case. */
export type TextTest = (value: string) => boolean;

/** A pattern cut at its `*`; in a piece, `?` (undefined) stands for any one character. */
type Piece = readonly (string | undefined)[];

/**
 * `*` any characters, `?` any one, `\*`, `\?` and `\\` themselves. Cost is at most pattern x text: pieces between stars
 * are looked for from left to right, never backtracking over a piece that was found.
 */
export function compileWildcard(pattern: string): TextTest {
  const pieces = cut(pattern);
  const plain = pieces.map((piece) => (piece.includes(undefined) ? undefined : piece.join('')));
  const [head, tail] = [plain[0], plain.at(-1)];
  if (pieces.length === 1 && head !== undefined) {
    return (value) => value === head;
  }
  if (pieces.length === 2 && head !== undefined && tail !== undefined) {
    const length = head.length + tail.length;
    return (value) => value.length >= length && value.startsWith(head) && value.endsWith(tail);
  }
  return (value) => matchPieces(pieces, value);
}

/** True where the text holds a wildcard, so that a set of exact values cannot answer. */
export function hasWildcard(pattern: string): boolean {
  return /[*?\\]/.test(pattern);
}

function cut(pattern: string): readonly Piece[] {
  const pieces: (string | undefined)[][] = [[]];
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i]!;
    const following = pattern[i + 1];
    if (character === '\\' && (following === '*' || following === '?' || following === '\\')) {
      pieces.at(-1)!.push(following);
      i++;
    } else if (character === '*') {
      pieces.push([]);
    } else {
      pieces.at(-1)!.push(character === '?' ? undefined : character);
    }
  }
  return pieces;
}

function matchPieces(pieces: readonly Piece[], value: string): boolean {
  const first = pieces[0]!;
  const last = pieces.at(-1)!;
  if (pieces.length === 1) {
    return value.length === first.length && fits(first, value, 0);
  }
  let at = first.length;
  const end = value.length - last.length;
  if (end < at || !fits(first, value, 0) || !fits(last, value, end)) {
    return false;
  }
  for (const piece of pieces.slice(1, -1)) {
    while (at + piece.length <= end && !fits(piece, value, at)) {
      at++;
    }
    at += piece.length;
    if (at > end) {
      return false;
    }
  }
  return true;
}

function fits(piece: Piece, value: string, at: number): boolean {
  for (let i = 0; i < piece.length; i++) {
    const wanted = piece[i];
    if (wanted === undefined ? at + i >= value.length : value[at + i] !== wanted) {
      return false;
    }
  }
  return true;
}
