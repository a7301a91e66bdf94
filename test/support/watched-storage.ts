/** A storage that can fail or wait at a chosen step, and that counts open readers and writers. */
import type {
  Reader,
  RemoveOptions,
  ResourceInfo,
  StorageAdapter,
  Writer,
} from '../../src/storage/adapter.ts'
import { memoryStorage } from '../../src/storage/memory.ts'

/** The steps of an adapter, in the order in which a write takes them; `send` reads for a GET. */
export type Step =
  | 'head'
  | 'openReader'
  | 'openWriter'
  | 'read'
  | 'write'
  | 'truncate'
  | 'commit'
  | 'keep'
  | 'rollback'
  | 'remove'
  | 'send'
  | 'close'

type Intervention = () => void | Promise<void>

export class WatchedStorage implements StorageAdapter {
  /** All steps so far. */
  readonly steps: Step[] = []
  /** Writers that were opened and not ended. */
  openWriters = 0
  /** Readers that were opened and not closed. */
  openReaders = 0
  readonly #storage: StorageAdapter
  readonly #interventions = new Map<Step, Intervention>()

  constructor(storage: StorageAdapter = memoryStorage()) {
    this.#storage = storage
  }

  /** Makes the next such step run an action first. */
  next(step: Step, intervention: Intervention): void {
    this.#interventions.set(step, intervention)
  }

  /** Makes the next such step fail. */
  fail(step: Step, error: Error): void {
    this.next(step, () => {
      throw error
    })
  }

  /** Makes the next such step wait, and resolves once it waits. */
  async pause(step: Step): Promise<{ readonly proceed: () => void }> {
    return new Promise((reached) => {
      this.next(step, () => new Promise<void>((resolve) => reached({ proceed: () => resolve() })))
    })
  }

  async head(key: string): Promise<ResourceInfo | null> {
    await this.#take('head')
    return this.#storage.head(key)
  }

  async openReader(key: string): Promise<Reader | null> {
    await this.#take('openReader')
    const reader = await this.#storage.openReader(key)
    if (reader === null) return null
    this.openReaders += 1
    return {
      info: reader.info,
      read: (start, end) => this.#watch('send', reader.read(start, end)),
      close: async () => {
        this.openReaders -= 1
        await this.#take('close')
        await reader.close()
      },
    }
  }

  async openWriter(...options: Parameters<StorageAdapter['openWriter']>): Promise<Writer> {
    await this.#take('openWriter')
    const writer = await this.#storage.openWriter(...options)
    this.openWriters += 1
    return this.#watchWriter(writer)
  }

  async remove(key: string, options?: RemoveOptions): Promise<boolean> {
    await this.#take('remove')
    return this.#storage.remove(key, options)
  }

  #watchWriter(writer: Writer): Writer {
    let isOpen = true
    const ended = (): void => {
      if (isOpen) this.openWriters -= 1
      isOpen = false
    }
    return {
      base: writer.base,
      transaction: writer.transaction,
      write: async (position, chunks) => {
        await this.#take('write')
        await writer.write(position, chunks)
      },
      truncate: async (size) => {
        await this.#take('truncate')
        await writer.truncate(size)
      },
      read: (start, end) => this.#watch('read', writer.read(start, end)),
      commit: async (state) => {
        await this.#take('commit')
        const info = await writer.commit(state)
        ended()
        return info
      },
      keep: async () => {
        const wasOpen = isOpen
        ended()
        if (wasOpen) await this.#take('keep')
        await writer.keep()
      },
      rollback: async () => {
        const wasOpen = isOpen
        ended()
        if (wasOpen) await this.#take('rollback')
        await writer.rollback()
      },
    }
  }

  async *#watch(step: Step, pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const piece of pieces) {
      await this.#take(step)
      yield piece
    }
  }

  async #take(step: Step): Promise<void> {
    this.steps.push(step)
    const intervention = this.#interventions.get(step)
    this.#interventions.delete(step)
    await intervention?.()
  }
}
