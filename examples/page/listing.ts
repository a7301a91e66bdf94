/** The list of what the server has, fetched at intervals while the page is visible. */

/** One file of the server, as `GET /list` reports it. */
export interface ListedFile {
  readonly key: string
  /** Bytes that are there. */
  readonly size: number
  /** Number of bytes of the finished file; null if it was not declared yet. */
  readonly length: number | null
  readonly complete: boolean
  /** ISO date. */
  readonly modified: string
}

/** Time between two requests, in milliseconds. */
const INTERVAL = 3000
/** The same after a change; it gathers changes, because many files may finish at a time. */
const SOON = 500
/** Time without an answer after which the server counts as out of reach, in milliseconds. */
const TIMEOUT = 10_000

/** The list as it was last seen. */
export class Listing {
  #files: readonly ListedFile[] | null = null
  #askedAt = 0
  #isReachable = true
  readonly #onChange: (listing: Listing) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #isAsking = false
  /** The timer runs for a question before long. */
  #isSoon = false
  /** Something has changed since the question was asked. */
  #isStale = false

  constructor(onChange: (listing: Listing) => void) {
    this.#onChange = onChange
    document.addEventListener('visibilitychange', () => void this.refresh())
    addEventListener('online', () => void this.refresh())
  }

  /** Null until the server has said. */
  get files(): readonly ListedFile[] | null {
    return this.#files
  }

  /** When the server was asked for them, as of `performance.now()`. */
  get askedAt(): number {
    return this.#askedAt
  }

  /** Whether the server has answered the last question. */
  get isReachable(): boolean {
    return this.#isReachable
  }

  /** Fetches the list now, unless a request is under way. */
  async refresh(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    clearTimeout(this.#timer)
    await this.#ask()
    this.#isAsking = false
    const isSeen = document.visibilityState === 'visible'
    if (this.#isStale || isSeen) this.#plan(this.#isStale ? SOON : INTERVAL)
    this.#isStale = false
  }

  /** Fetches the list soon, because something has changed. */
  refreshSoon(): void {
    if (this.#isAsking) this.#isStale = true
    else if (!this.#isSoon) this.#plan(SOON)
  }

  #plan(delay: number): void {
    clearTimeout(this.#timer)
    this.#isSoon = delay === SOON
    this.#timer = setTimeout(() => void this.refresh(), delay)
  }

  async #ask(): Promise<void> {
    this.#isSoon = false
    const askedAt = performance.now()
    try {
      const response = await fetch('list', { signal: AbortSignal.timeout(TIMEOUT) })
      if (!response.ok) throw new Error(`the list was answered with ${response.status}`)
      this.#files = parseList(await response.json())
      this.#askedAt = askedAt
      this.#isReachable = true
    } catch {
      this.#isReachable = false
    }
    this.#onChange(this)
  }
}

function parseList(value: unknown): readonly ListedFile[] {
  if (!Array.isArray(value))
    throw new Error('the answer to the request for the list is not an array')
  return value.filter(isListedFile)
}

function isListedFile(value: unknown): value is ListedFile {
  return typeof value === 'object' && value !== null && 'key' in value && 'size' in value
}
