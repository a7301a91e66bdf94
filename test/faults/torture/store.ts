/** The hidden folder of a store under torture: what a crash may leave there, and what it must hold. */
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

/** The start of a server removes what is older than an hour. */
const OLD = 2 * 3_600_000

/** One store in its folder. */
export class TortureStore {
  readonly #root: string
  readonly #hidden: string

  constructor(root: string) {
    this.#root = root
    this.#hidden = path.join(root, '.partial-upload')
    mkdirSync(this.#hidden, { recursive: true })
  }

  /**
   * Makes all that is not finished as old as what the next start may remove. Not the data of a
   * finished resource that is still to be moved: its time is a part of its identity.
   */
  ageAll(): void {
    const moving = new Set(this.#records().flatMap(({ data, complete }) => (complete ? data : [])))
    for (const name of this.#names()) if (!moving.has(name)) this.#makeOld(name)
  }

  /**
   * Makes old what neither the resources of `keys` nor a living server need. A rebuild of that server must keep
   * the time of its file, which becomes a part of the identity of the version.
   */
  ageLeftovers(keys: ReadonlySet<string>): void {
    for (const name of this.leftovers(keys)) if (!this.#isInUse(name)) this.#makeOld(name)
  }

  /** Whether the process that has staged the file is alive. */
  #isInUse(name: string): boolean {
    const [, id] = /\.([\w-]{6})[\w-]{6}\.\w+$/.exec(name) ?? []
    try {
      const [, pid] = readlinkSync(path.join(this.#hidden, `${id}.owner`)).split(' ')
      return process.kill(Number(pid), 0)
    } catch {
      return false
    }
  }

  /** Leaves old files as crashes do, of resources that are not there. Returns their names. */
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

  /** How many of these files are there. */
  count(names: readonly string[]): number {
    const there = new Set(this.#names())
    return names.filter((name) => there.has(name)).length
  }

  /** The files that no resource of `keys` needs. */
  leftovers(keys: ReadonlySet<string>): readonly string[] {
    const hashes = new Set(Array.from(keys, hashOf))
    const needed = this.#records().flatMap(({ name, data, layers }) =>
      hashes.has(name.slice(0, -'.json'.length))
        ? [name, data, data.replace(/data$/, 'safe'), ...layers]
        : [],
    )
    return this.#names().filter((name) => !needed.includes(name))
  }

  /** The same without layers that were merged in the last hour, which a living server keeps. */
  garbage(keys: ReadonlySet<string>): readonly string[] {
    const isKept = (name: string): boolean => {
      const file = path.join(this.#hidden, name)
      const found = name.endsWith('.patch') ? statSync(file, { throwIfNoEntry: false }) : undefined
      return found !== undefined && Date.now() - found.mtimeMs < OLD / 2
    }
    return this.leftovers(keys).filter((name) => !isKept(name))
  }

  /** The files outside the hidden folder. */
  published(): readonly string[] {
    const entries = readdirSync(this.#root, { recursive: true, withFileTypes: true })
    return entries.flatMap((entry) => {
      const name = path.relative(this.#root, path.join(entry.parentPath, entry.name))
      return entry.isFile() && !name.startsWith('.partial-upload') ? [name] : []
    })
  }

  /** The locks of processes that share the store. */
  locks(): readonly string[] {
    const folder = path.join(this.#hidden, 'locks')
    return existsSync(folder) ? readdirSync(folder) : []
  }

  /** Without the locks and the leases, of which a living server has some. */
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

/** Of a resource that was removed, or never came to be. */
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

/** What a record says of the data; null if it is gone by now. */
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
