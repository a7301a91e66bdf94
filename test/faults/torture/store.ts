/**
 * The staging directory of a store in a torture run: the files that a crash may leave, and those
 * that must stay.
 */
import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'

/** Older than an hour, so that the start of a server removes it. */
const OLD = 2 * 3_600_000

/** One store and its directory. */
export class TortureStore {
  readonly #root: string
  readonly #hidden: string

  constructor(root: string) {
    this.#root = root
    this.#hidden = path.join(root, '.partial-upload')
    mkdirSync(this.#hidden, { recursive: true })
  }

  /**
   * Makes all staged files old enough that the next start may remove them. The data of a finished
   * resource that has yet to be renamed keeps its time, because the time is part of the file's
   * fingerprint.
   */
  ageAll(): void {
    const moving = new Set(this.#records().flatMap(({ data, complete }) => (complete ? data : [])))
    for (const name of this.#names()) if (!moving.has(name)) this.#makeOld(name)
  }

  /**
   * Makes the files old that neither the resources of `keys` nor a running server need. A rebuild
   * of that server must keep the time of its file, which becomes part of the version's fingerprint.
   */
  ageLeftovers(keys: ReadonlySet<string>): void {
    for (const name of this.leftovers(keys)) if (!this.#isInUse(name)) this.#makeOld(name)
  }

  /** Whether the process that has staged the file still runs. */
  #isInUse(name: string): boolean {
    const [, id] = /\.([\w-]{6})[\w-]{6}\.\w+$/.exec(name) ?? []
    try {
      const [, pid] = readlinkSync(path.join(this.#hidden, `${id}.owner`)).split(' ')
      return process.kill(Number(pid), 0)
    } catch {
      return false
    }
  }

  /**
   * Creates old files of resources that do not exist, as crashes leave them. Returns their names.
   */
  plant(count: number): readonly string[] {
    const names = Array.from({ length: count }, (_, index) => {
      const hash = randomBytes(32).toString('base64url')
      const data = `${hash}.${randomBytes(9).toString('base64url')}`
      const kinds = [`${hash}.json`, `${data}.data`, `${data}.safe`, `${data}.tmp`]
      return kinds[index % kinds.length] ?? ''
    })
    for (const name of names) {
      writeFileSync(path.join(this.#hidden, name), name.endsWith('.json') ? RECORD : 'data')
      this.#makeOld(name)
    }
    return names
  }

  /** Returns how many of these files exist. */
  count(names: readonly string[]): number {
    const there = new Set(this.#names())
    return names.filter((name) => there.has(name)).length
  }

  /** Returns the files that no resource of `keys` needs. */
  leftovers(keys: ReadonlySet<string>): readonly string[] {
    const hashes = new Set(Array.from(keys, hashOf))
    const needed = this.#records().flatMap(({ name, data, layers }) =>
      hashes.has(name.slice(0, -'.json'.length))
        ? [name, data, data.replace(/data$/, 'safe'), ...layers]
        : [],
    )
    return this.#names().filter((name) => !needed.includes(name))
  }

  /**
   * Returns the leftovers without layers that were merged in the last hour, which a running server
   * keeps.
   */
  garbage(keys: ReadonlySet<string>): readonly string[] {
    const isKept = (name: string): boolean => {
      const file = path.join(this.#hidden, name)
      const found = name.endsWith('.patch') ? statSync(file, { throwIfNoEntry: false }) : undefined
      return found !== undefined && Date.now() - found.mtimeMs < OLD / 2
    }
    return this.leftovers(keys).filter((name) => !isKept(name))
  }

  /** Returns the files outside the staging directory. */
  published(): readonly string[] {
    const entries = readdirSync(this.#root, { recursive: true, withFileTypes: true })
    return entries.flatMap((entry) => {
      const name = path.relative(this.#root, path.join(entry.parentPath, entry.name))
      return entry.isFile() && !name.startsWith('.partial-upload') ? [name] : []
    })
  }

  /** Returns the locks of the processes that share the store. */
  locks(): readonly string[] {
    const folder = path.join(this.#hidden, 'locks')
    return existsSync(folder) ? readdirSync(folder) : []
  }

  /**
   * Returns the staged files without the locks and the leases, of which a running server has some.
   */
  #names(): readonly string[] {
    return readdirSync(this.#hidden).filter(
      (name) => !['locks', 'calls'].includes(name) && !name.endsWith('.owner'),
    )
  }

  #records() {
    return this.#names().flatMap((name) => {
      if (!name.endsWith('.json')) return []
      const record = readRecord(path.join(this.#hidden, name))
      return record === null ? [] : [{ name, ...record }]
    })
  }

  #makeOld(name: string): void {
    const time = new Date(Date.now() - OLD)
    const file = path.join(this.#hidden, name)
    try {
      utimesSync(file, time, time)
    } catch (error) {
      // The sweep of the other server may remove it at any time.
      if (existsSync(file)) throw error
    }
  }
}

/** The record of a resource that was removed or never created. */
const RECORD = JSON.stringify({
  key: 'gone',
  state: {
    complete: true,
    everComplete: true,
    completeLength: 4,
    contentType: null,
    contentDisposition: null,
    reprDigest: null,
    owner: null,
  },
  tag: 'tag',
  data: `${'n'.repeat(43)}.${'n'.repeat(12)}.data`,
  lastModified: 0,
  pinnedSize: null,
  safeSize: 4,
  boot: '',
  unsettled: false,
  published: '1-4-0',
})

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url')
}

/** Reads from a record which files its resource needs; null if the record was removed meanwhile. */
function readRecord(file: string): {
  readonly data: string
  readonly complete: boolean
  readonly layers: readonly string[]
} | null {
  try {
    const { data, state, published } = JSON.parse(readFileSync(file, 'utf8')) as {
      data: string
      state: { complete: boolean }
      published: string | null | { layers: readonly string[] }
    }
    const layers = typeof published === 'object' ? (published?.layers ?? []) : []
    return { data, complete: state.complete, layers }
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null
    throw error
  }
}
