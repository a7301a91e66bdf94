/** Computes digests of stored content: of small content in slices, of large content in a thread of its own. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Digest } from '../fields/digest.ts'
import { WorkLimit } from './work-limit.ts'
import { inSlices } from './yielding.ts'

/**
 * Largest content that is hashed in the event loop's thread, in bytes. Starting a thread takes about as
 * long as hashing this much.
 */
const INLINE_SIZE = 8 * 1024 * 1024

/** Bytes that are handed to the thread at a time. */
const BLOCK_SIZE = 512 * 1024

/** Properties of the content, and the algorithms. */
export interface HashingOptions {
  /** Length of the content in bytes, which decides where it is hashed. */
  readonly size: number
  /** The algorithms; the digests come in the same order. */
  readonly algorithms: readonly Digest['algorithm'][]
  /** Aborts the hashing at the next chunk. `digest` rejects with its reason. */
  readonly signal?: AbortSignal
}

/** Computes digests of content that takes long to hash, a limited number at the same time. */
export class HashingService {
  readonly #limit: WorkLimit

  /** Creates a service that hashes at most `limit` contents above 8 MiB at the same time. */
  constructor(limit: number) {
    this.#limit = new WorkLimit(limit, 'digests of large content')
  }

  /**
   * Reads `content` to its end, and returns its digests. Chunks are only borrowed.
   *
   * @throws UploadError `ERR_BUSY`, with `content` untouched, when the limit is reached.
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

/** A running digest of one or more algorithms. */
export interface RunningDigest {
  /** Adds bytes. */
  update(bytes: Uint8Array): void
  /** The digests of all bytes so far. Ends the hashing. */
  digest(): readonly Digest[]
}

/** Creates a running digest, which hashes in the calling thread. */
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
 * Source of the thread. It is a string, because the path of a file would differ between `dist`, the TypeScript
 * sources, and the output of each bundler.
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

/** Hashes in a thread of its own. While the thread hashes one block, the caller fills the other one. */
class HashThread {
  readonly #algorithms: readonly Digest['algorithm'][]
  readonly #blocks = [sharedBlock(), sharedBlock()] as const
  readonly #worker: Worker
  /** Index of the block that is being filled, and the number of bytes in it. */
  #index: 0 | 1 = 0
  #length = 0
  /** Settles when the thread has hashed the last block that was sent to it. */
  #answer: Promise<unknown> = Promise.resolve()

  constructor(algorithms: readonly Digest['algorithm'][]) {
    this.#algorithms = algorithms
    this.#worker = new Worker(THREAD, {
      eval: true,
      // Without this the thread would start the loaders of the process too, such as tsx.
      execArgv: [],
      workerData: { names: algorithms.map(nodeName), blocks: this.#blocks },
    })
  }

  /** Copies a chunk, because the storage may reuse its memory, and waits while both blocks are full. */
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
    // The error of the thread is thrown when the answer is awaited, which may be after the next read. Until then it
    // must not end the process as an unhandled rejection.
    this.#answer.catch(() => undefined)
    this.#worker.postMessage({ index: this.#index, length: this.#length, isLast }, [])
    this.#index = this.#index === 0 ? 1 : 0
    this.#length = 0
  }

  async #nextMessage(): Promise<unknown> {
    const messages: readonly unknown[] = await once(this.#worker, 'message')
    return messages[0]
  }
}

function sharedBlock(): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(BLOCK_SIZE))
}

function nodeName(algorithm: Digest['algorithm']): string {
  return algorithm.replace('-', '')
}

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
