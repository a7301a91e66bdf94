/** States in the notation of the protocol: `∅`, `I(4/10)`, `I(4/*)` or `C(10)`. */
export interface State {
  readonly kind: string
  readonly size: number
  /** Length of the finished resource; null while unknown. */
  readonly length: number | null
}

/** Parses the notation. */
export function parseState(state: string): State {
  const [, kind = '', size = '', length = size] = /^(.)(?:\((\d+)(?:\/(.+))?\))?$/.exec(state) ?? []
  return { kind, size: Number(size), length: length === '*' ? null : Number(length) }
}
