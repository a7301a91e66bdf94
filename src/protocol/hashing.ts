/**
 * Computes digests of stored content. Small content is hashed in slices in the thread of the event
 * loop, large content in a thread of its own, because a gigabyte takes a second or more, which all
 * other requests would have to share.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Digest } from '../fields/digest.ts'
import { WorkLimit } from './work-limit.ts'
import { inSlices } from './yielding.ts'

/**
 * Largest content that is hashed in the event loop's thread, in bytes. Starting a thread takes
 * about as long as hashing this much.
 */
const INLINE_SIZE = 8 * 1024 * 1024

/** Bytes that are passed to the thread at a time. */
const BLOCK_SIZE = 512 * 1024

/** What is hashed, and how. */
export interface HashingOptions {
  /** Length of the content in bytes, which decides where it is hashed. */
  readonly size: number
  /** The algorithms. The digests are returned in the same order. */
  readonly algorithms: readonly Digest['algorithm'][]
  /** Aborts the hashing at the next chunk. `digest` rejects with its reason. */
  readonly signal?: AbortSignal
}

/** Computes digests, of which a limited number of large ones run at the same time. */
export class HashingService {
  readonly #limit: WorkLimit

  /** Creates a service that hashes at most `limit` contents above 8 MiB at the same time. */
  constructor(limit: number) {
    this.#limit = new WorkLimit(limit, 'digests of large content')
  }

  /**
   * Reads `content` to its end, and returns its digests. No chunk is used after the next one is
   * read.
   *
   * @throws UploadError 503 `ERR_BUSY` when the limit is reached; `content` has not been read.
   * @throws The reason of the signal, or the error of `content`.
   */
  async digest(
    content: AsyncIterable<Uint8Array>,
    options: HashingOptions,
  ): Promise<readonly Digest[]> {
    if (options.size <= INLINE_SIZE) return hashInSlices(content, options)
    return this.#limit.run(() => hashInThread(content, options))
  }
}

/** A running digest by one or more algorithms. */
export interface RunningDigest {
  /** Adds bytes. */
  update(bytes: Uint8Array): void
  /** Returns the digests of all bytes. Called once, after the last byte. */
  digest(): readonly Digest[]
}

/**
 * Creates a running digest that hashes in the calling thread, so that long content has to be passed
 * in slices.
 */
export function createRunningDigest(algorithms: readonly Digest['algorithm'][]): RunningDigest {
  const hashes = algorithms.map((algorithm) => createHash(nodeName(algorithm)))
  return {
    update: (bytes) => {
      for (const hash of hashes) hash.update(bytes)
    },
    digest: () => withNames(algorithms, (index) => hashes[index]?.digest()),
  }
}

async function hashInSlices(
  content: AsyncIterable<Uint8Array>,
  { algorithms, signal }: HashingOptions,
): Promise<readonly Digest[]> {
  const running = createRunningDigest(algorithms)
  await inSlices(content, (slice) => {
    signal?.throwIfAborted()
    running.update(slice)
  })
  return running.digest()
}

/** Hashes in a new thread, which ends with the content, an error or the signal. */
async function hashInThread(
  content: AsyncIterable<Uint8Array>,
  { algorithms, signal }: HashingOptions,
): Promise<readonly Digest[]> {
  const thread = new HashThread(algorithms)
  try {
    for await (const chunk of content) {
      signal?.throwIfAborted()
      await thread.update(chunk)
    }
    return await thread.digest()
  } finally {
    await thread.terminate()
  }
}

/**
 * Source of the thread. It is a string and not a file, because the path of a file would differ
 * between `dist`, the TypeScript sources, and the output of each bundler. For each message the
 * thread hashes a block and answers: null, or the digests after the last block.
 */
const THREAD = `
const { createHash } = require('node:crypto')
const { parentPort, workerData } = require('node:worker_threads')
const { names, blocks } = workerData
const hashes = names.map((name) => createHash(name))
parentPort.on('message', ({ index, length, isLast }) => {
  const bytes = blocks[index].subarray(0, length)
  for (const hash of hashes) hash.update(bytes)
  parentPort.postMessage(isLast ? hashes.map((hash) => hash.digest()) : null)
})
`

/**
 * Hashes in a thread of its own. The bytes are in two blocks of shared memory: while the thread
 * hashes one of them, the caller fills the other one.
 */
class HashThread {
  readonly #algorithms: readonly Digest['algorithm'][]
  readonly #blocks = [sharedBlock(), sharedBlock()] as const
  readonly #worker: Worker
  /** Index of the block that is being filled. */
  #index: 0 | 1 = 0
  /** Number of bytes in it. */
  #length = 0
  /**
   * Resolves when the thread has hashed the last block that was sent to it; rejects if the thread
   * has failed.
   */
  #answer: Promise<unknown> = Promise.resolve()

  constructor(algorithms: readonly Digest['algorithm'][]) {
    this.#algorithms = algorithms
    this.#worker = new Worker(THREAD, {
      eval: true,
      // Don't inherit the options of the process, with which the thread would also start loaders
      // such as tsx.
      execArgv: [],
      workerData: { names: algorithms.map(nodeName), blocks: this.#blocks },
    })
  }

  /**
   * Copies a chunk to the block, because the storage may reuse its memory. Waits while both blocks
   * are full.
   */
  async update(chunk: Uint8Array): Promise<void> {
    let rest = chunk
    while (rest.byteLength > 0) {
      const copied = rest.subarray(0, BLOCK_SIZE - this.#length)
      this.#blocks[this.#index].set(copied, this.#length)
      this.#length += copied.byteLength
      rest = rest.subarray(copied.byteLength)
      if (this.#length === BLOCK_SIZE) await this.#send(false)
    }
  }

  async digest(): Promise<readonly Digest[]> {
    await this.#send(true)
    const answer = await this.#answer
    const values: readonly unknown[] = Array.isArray(answer) ? answer : []
    return withNames(this.#algorithms, (index) => values[index])
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  /** Sends the filled block after the thread has hashed the other one. */
  async #send(isLast: boolean): Promise<void> {
    await this.#answer
    this.#answer = this.#nextMessage()
    // An error of the thread is thrown where this promise is awaited, which may be much later.
    // Until then it would be an unhandled rejection, which ends the process, so it is handled here
    // as well.
    this.#answer.catch(() => undefined)
    this.#worker.postMessage({ index: this.#index, length: this.#length, isLast }, [])
    this.#index = this.#index === 0 ? 1 : 0
    this.#length = 0
  }

  /** Waits for an answer of the thread. `once` rejects if the thread emits an error instead. */
  async #nextMessage(): Promise<unknown> {
    const messages: readonly unknown[] = await once(this.#worker, 'message')
    return messages[0]
  }
}

/** Allocates a block of memory that both threads can access without a copy. */
function sharedBlock(): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(BLOCK_SIZE))
}

/** Returns the name that `node:crypto` has for an algorithm of RFC 9530: `sha256` for `sha-256`. */
function nodeName(algorithm: Digest['algorithm']): string {
  return algorithm.replace('-', '')
}

/** Makes digests of values that are in the order of their algorithms. */
function withNames(
  algorithms: readonly Digest['algorithm'][],
  valueOf: (index: number) => unknown,
): readonly Digest[] {
  return algorithms.map((algorithm, index) => {
    const value = valueOf(index)
    if (!(value instanceof Uint8Array)) throw new Error(`no ${algorithm} was computed`)
    return { algorithm, value }
  })
}
