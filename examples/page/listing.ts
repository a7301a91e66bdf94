/** The list of the files on the server, which is fetched at intervals while the page is visible. */

/** One file on the server, as `GET /list` reports it. */
export interface ListedFile {
  /** Path of the file below `/files/`. */
  readonly key: string
  /** Number of stored bytes. */
  readonly size: number
  /** Number of bytes of the finished file; null if it was not declared yet. */
  readonly length: number | null
  readonly complete: boolean
  /** Time of the last change, in the format of ISO 8601. */
  readonly modified: string
}

/** Time between two requests, in milliseconds. */
const INTERVAL = 3000
/** Time until the request after a change, in milliseconds. It joins the changes of many small files. */
const SOON = 500
/** Time without an answer after which the server counts as unreachable, in milliseconds. */
const TIMEOUT = 10_000

/** The last list that the server has sent. */
export class Listing {
  #files: readonly ListedFile[] | null = null
  #askedAt = 0
  #isReachable = true
  readonly #onChange: (listing: Listing) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #isAsking = false
  /** Whether the timer runs for a request after a change. */
  #isSoon = false
  /** Whether a file has changed since the present request was sent. */
  #isStale = false

  constructor(onChange: (listing: Listing) => void) {
    this.#onChange = onChange
    // A page in the background does not ask, and asks at once when the user returns to it.
    document.addEventListener('visibilitychange', () => void this.refresh())
    addEventListener('online', () => void this.refresh())
  }

  /** The files; null before the first answer. */
  get files(): readonly ListedFile[] | null {
    return this.#files
  }

  /**
   * Time of the request for these files, as of `performance.now()`. Later changes are not in the list.
   */
  get askedAt(): number {
    return this.#askedAt
  }

  /** Whether the server has answered the last request. */
  get isReachable(): boolean {
    return this.#isReachable
  }

  /** Fetches the list now, unless a request is already in progress. */
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

  /** Sets the timer for the next request. */
  #plan(delay: number): void {
    clearTimeout(this.#timer)
    this.#isSoon = delay === SOON
    this.#timer = setTimeout(() => void this.refresh(), delay)
  }

  /** Sends the request. A failure leaves the last list as it is. */
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

/**
 * Returns the files of an answer. A login page or a proxy may have answered, so that the shape is checked.
 */
function parseList(value: unknown): readonly ListedFile[] {
  if (!Array.isArray(value))
    throw new Error('the answer to the request for the list is not an array')
  return value.filter(isListedFile)
}

function isListedFile(value: unknown): value is ListedFile {
  return typeof value === 'object' && value !== null && 'key' in value && 'size' in value
}
