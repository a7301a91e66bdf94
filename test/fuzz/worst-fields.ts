/** Field values and paths that cost a reader the most for their size. */

/** A request field. */
export interface WorstField {
  readonly name: string
  readonly value: string
}

/** Values of about `size` characters, for every field that is read. */
export function worstFields(size: number): readonly WorstField[] {
  const all = (names: readonly string[], pieces: readonly string[], before = '') =>
    pieces.flatMap((piece) =>
      names.map((name) => ({ name, value: `${before}${repeat(piece, size)}` })),
    )
  return [
    ...all(
      ['If-Match', 'If-None-Match'],
      ['"a",', 'W/"a",', '"a', ' ,', '"a" ', '"a,"', 'W/', '\t \t,'],
    ),
    ...all(
      ['Range'],
      ['0-0,', '-1,', '0-,', ' ,', '1-0,', '9', '0-9999999999999999999999999,'],
      'bytes=',
    ),
    ...all(['Content-Range'], ['a', ' ', '9', '0-', '0-0/', '*/9'], 'bytes '),
    ...all(['Content-Offset'], ['9', ';a', '; ', ';a="', ';a="\\"', ';a=:', ';a=1', ' '], '1'),
    { name: 'Range', value: `bytes=${repeat('9', size / 2)}-${repeat('9', size / 2)}` },
    ...all(['Prefer'], ['a=b,', 'a;b;', 'a="', 'a="\\"', ' =', 'a ', 'transaction=x;', ',', ';']),
    ...all(
      ['Content-Digest', 'Repr-Digest'],
      ['sha-256=:AA==:,', 'a=:AA:;b;', 'a=:AA:;b="\\"', 'a=:', 'A', 'a=:AA:; ', 'a=:AA:\t'],
    ),
    { name: 'Content-Digest', value: digestMembers(size) },
    ...['If-Match', 'Prefer', 'Content-Digest', 'Range', 'Content-Range'].map((name) => ({
      name,
      value: `a${repeat(' \t', size)}x`,
    })),
    ...all(['Accept'], ['a/b;q=0.1,']),
    ...all(['If-Range'], ['"a']),
    ...all(['If-Modified-Since'], ['Sun, ']),
    ...all(['If-Unmodified-Since'], [' 0']),
    ...all(['Content-Encoding'], ['identity, ']),
  ]
}

/** Parameters of a Content-Type of about `size` characters. */
export function worstParameters(size: number): readonly string[] {
  return [
    typeParameters(size),
    ` ${repeat(';', size)}`,
    `;a="${repeat('\\"', size)}`,
    repeat(' ;', size),
    `; boundary=${repeat('a', size)}`,
  ]
}

/** Paths of about `size` characters below the mount. */
export function worstPaths(
  size: number,
): readonly { readonly name: string; readonly path: string }[] {
  return [
    { name: 'a path of empty segments', path: '/'.repeat(size) },
    { name: 'a path of encoded bytes', path: repeat('%61', size) },
    { name: 'a path of many segments', path: `${repeat('a/', size)}a` },
    { name: 'a path of as many segments as fit into a key', path: `${repeat('a/', 1000)}a` },
  ]
}

/** Members of a digest field, each of another name. */
export function digestMembers(size: number): string {
  const list = Array.from({ length: Math.floor(size / 12) }, (_, index) => `a${index}=:AA==:`)
  return list
    .join(',')
    .slice(0, size)
    .replace(/,[^,]*$/, '')
}

/** Parameters of a media type, each of another name. */
export function typeParameters(size: number): string {
  const list = Array.from({ length: Math.floor(size / 9) }, (_, index) => `;a${index}=b`)
  return list
    .join('')
    .slice(0, size)
    .replace(/;[^;]*$/, '')
}

/** Repeats the piece as often as it fits into `size` characters. */
export function repeat(piece: string, size: number): string {
  return piece.repeat(Math.floor(size / piece.length))
}
