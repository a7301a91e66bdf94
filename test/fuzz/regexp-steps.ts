/**
 * Counts the steps of a pattern. V8 does not report how often it backtracks, so this matcher
 * backtracks in the same order and counts. It supports only the syntax that the patterns of `src`
 * use.
 */

/** The result of a match. */
export interface CountedMatch {
  /** Position of the match; -1 if there was no match. */
  readonly index: number
  readonly end: number
  /** Number of characters, positions and repetitions that were tried. */
  readonly steps: number
}

type Node =
  | { readonly kind: 'character'; readonly pattern: RegExp; readonly known: Map<string, boolean> }
  | { readonly kind: 'start' | 'end' }
  | { readonly kind: 'look'; readonly isNegative: boolean; readonly body: Node }
  | { readonly kind: 'sequence' | 'choice'; readonly nodes: readonly Node[] }
  | { readonly kind: 'repetition'; readonly body: Node; readonly min: number; readonly max: number }

/** One atom of a pattern: a literal character, a class, or an escape. */
const ATOM =
  /\[(?:\\.|[^\]\\])*\]|\\(?:u\{[^}]*\}|u[0-9a-fA-F]{4}|[pP]\{[^}]*\}|x[0-9a-fA-F]{2}|.)|[^()|*+?{}[\]^$]/uy
const QUANTIFIER = /(?:([*+?])|\{(\d+)(,(\d*))?\})(?!\?)/y
const GROUP = /\((?:\?:|\?([=!])|\?<[A-Za-z]+>|(?!\?))/y

const compiled = new Map<string, Node>()

/** Matches as `pattern.exec(text)` does from `from` on. */
export function countSteps(pattern: RegExp, text: string, from: number): CountedMatch {
  const { source, flags, sticky } = pattern
  const key = `${flags} ${source}`
  const root = compiled.get(key) ?? new Compiler(source, flags).compile()
  compiled.set(key, root)
  const matcher = new Matcher(text)
  // Like V8, try no other start if the pattern can match only at the start of the text.
  const isAnchored = root.kind === 'sequence' && root.nodes[0]?.kind === 'start'
  const last = sticky || isAnchored ? from : text.length
  for (let index = from; index <= last; index++) {
    const end = matcher.match(root, index)
    if (end !== -1) return { index, end, steps: matcher.steps }
  }
  return { index: -1, end: -1, steps: matcher.steps }
}

class Compiler {
  readonly #source: string
  readonly #flags: string
  #at = 0

  constructor(source: string, flags: string) {
    this.#source = source
    this.#flags = flags.replace(/[^isu]/g, '')
  }

  compile(): Node {
    const root = this.#choice()
    if (this.#at < this.#source.length) throw this.#unknown()
    return root
  }

  #choice(): Node {
    const nodes = [this.#sequence()]
    while (this.#take('|')) nodes.push(this.#sequence())
    return nodes.length === 1 ? nodes[0]! : { kind: 'choice', nodes }
  }

  #sequence(): Node {
    const nodes: Node[] = []
    while (this.#at < this.#source.length && !/[|)]/.test(this.#source[this.#at]!)) {
      nodes.push(this.#quantified(this.#term()))
    }
    return { kind: 'sequence', nodes }
  }

  #term(): Node {
    if (this.#take('^')) return { kind: 'start' }
    if (this.#take('$')) return { kind: 'end' }
    const group = this.#match(GROUP)
    if (group) {
      const body = this.#choice()
      if (!this.#take(')')) throw this.#unknown()
      return group[1] === undefined ? body : { kind: 'look', isNegative: group[1] === '!', body }
    }
    const atom = this.#match(ATOM)
    if (!atom) throw this.#unknown()
    const pattern = new RegExp(`^${atom[0]}$`, this.#flags)
    return { kind: 'character', pattern, known: new Map() }
  }

  #quantified(body: Node): Node {
    const quantifier = this.#match(QUANTIFIER)
    if (!quantifier) return body
    const [, sign, least = '', isOpen, most = ''] = quantifier
    if (sign !== undefined) {
      return {
        kind: 'repetition',
        body,
        min: sign === '+' ? 1 : 0,
        max: sign === '?' ? 1 : Infinity,
      }
    }
    const closed = isOpen === undefined ? Number(least) : Number(most)
    return { kind: 'repetition', body, min: Number(least), max: isOpen === ',' ? Infinity : closed }
  }

  #take(character: string): boolean {
    if (this.#source[this.#at] !== character) return false
    this.#at++
    return true
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#source)
    if (match) this.#at = pattern.lastIndex
    return match
  }

  #unknown(): Error {
    return new Error(`not known here: ${this.#source.slice(this.#at, this.#at + 10)}…`)
  }
}

/**
 * A matcher that backtracks by recursive calls: each node gets a function that matches the rest of
 * the pattern.
 */
class Matcher {
  steps = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** Returns the end of a match that begins at `at`; -1 if there is none. */
  match(root: Node, at: number): number {
    let end = -1
    this.#run(root, at, (position) => {
      end = position
      return true
    })
    return end
  }

  #run(node: Node, at: number, next: (at: number) => boolean): boolean {
    this.steps++
    switch (node.kind) {
      case 'character':
        return this.#fits(node, at) && next(at + this.#size(at))
      case 'start':
        return at === 0 && next(at)
      case 'end':
        return at === this.#text.length && next(at)
      case 'look':
        return (this.match(node.body, at) === -1) === node.isNegative && next(at)
      case 'choice':
        return node.nodes.some((choice) => this.#run(choice, at, next))
      case 'sequence':
        return this.#sequence(node.nodes, 0, at, next)
      case 'repetition':
        return node.body.kind === 'character'
          ? this.#repeatCharacter(node, at, next)
          : this.#repeat(node, 0, at, next)
    }
  }

  #sequence(nodes: readonly Node[], index: number, at: number, next: (at: number) => boolean) {
    const node = nodes[index]
    if (node === undefined) return next(at)
    return this.#run(node, at, (end): boolean => this.#sequence(nodes, index + 1, end, next))
  }

  #repeat(
    node: Node & { readonly kind: 'repetition' },
    count: number,
    at: number,
    next: (at: number) => boolean,
  ): boolean {
    const again = (end: number): boolean => end !== at && this.#repeat(node, count + 1, end, next)
    if (count < node.max && this.#run(node.body, at, again)) return true
    return count >= node.min && next(at)
  }

  /**
   * Repeats one character in a loop, because a call for each character of a long run would overflow
   * the stack.
   */
  #repeatCharacter(
    { body, min, max }: Node & { readonly kind: 'repetition' },
    start: number,
    next: (at: number) => boolean,
  ): boolean {
    const ends = [start]
    while (ends.length <= max && this.#fits(body, ends.at(-1)!)) {
      ends.push(ends.at(-1)! + this.#size(ends.at(-1)!))
    }
    for (let count = ends.length - 1; count >= min; count--) {
      this.steps++
      if (next(ends[count]!)) return true
    }
    return false
  }

  #fits(node: Node, at: number): boolean {
    this.steps++
    if (node.kind !== 'character' || at >= this.#text.length) return false
    const character = this.#text.slice(at, at + this.#size(at))
    const known = node.known.get(character)
    if (known !== undefined) return known
    const fits = node.pattern.test(character)
    node.known.set(character, fits)
    return fits
  }

  /**
   * Returns the length of a character. Only patterns that match code points get text beyond ASCII
   * here, so that a surrogate pair is one character.
   */
  #size(at: number): number {
    return this.#text.codePointAt(at)! > 0xffff ? 2 : 1
  }
}
