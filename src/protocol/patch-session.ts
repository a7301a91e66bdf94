/**
 * Applies the parts of a patch to a writer, batch by batch. Leading bytes that are stored already
 * are compared and not written: a client that repeats a segment after a lost answer then changes
 * nothing, and gets no new entity tag.
 */
import { UploadError } from '../errors.ts'
import { isSameDisposition } from '../fields/content-disposition.ts'
import type { Part, PartEvent, PartTarget } from '../media/part.ts'
import { closeTarget } from '../media/part-length.ts'
import type { Writer } from '../storage/adapter.ts'
import { countEqual, skip } from './compare-bytes.ts'
import { joinReprDigests } from './digest-check.ts'
import type { PatchOutcome } from './resource-state.ts'
import {
  advance,
  progressOf,
  checkWhole,
  type Progress,
  type TransitionRules,
} from './transition.ts'

/** The changes that the options of the app allow a patch to make. */
export interface PatchRules extends TransitionRules {
  /**
   * Whether the stored bytes of an upload must not change. If a patch changes one: 409
   * `ERR_COMPLETE_LENGTH`.
   */
  readonly appendOnly: boolean
}

/** How a patch is applied. */
export interface PatchOptions {
  /** The changes that the app allows. */
  readonly rules: PatchRules
  /**
   * Whether a part may begin beyond the end, because a later part of the same patch may fill the
   * gap.
   */
  readonly fillsGaps: boolean
  /**
   * Called once, when the first part is known to fit the resource, and before any byte is stored.
   */
  readonly onFit: () => Promise<void>
}

/** A part of unknown length, whose range grows while its data arrives. */
interface OpenPart {
  readonly part: Part
  readonly target: Extract<PartTarget, { kind: 'open' }>
  /** The progress before the part, to which each longer range of the part is applied. */
  readonly before: Progress
}

/**
 * Applies one patch to a writer. The data of consecutive parts that continue each other goes into
 * one write. The caller ends the writer.
 */
export class PatchSession {
  readonly #writer: Writer
  readonly #options: PatchOptions
  /** The state of the resource once all data of the parts so far has been written. */
  #progress: Progress
  /** Whether a byte that differs from the stored one has been written. */
  #changed = false
  /** The fields of the first part that has them; the parser has checked that the parts agree. */
  #contentType: string | null = null
  #contentDisposition: string | null = null
  /** The digests of all parts, as one field. */
  #reprDigest: string | null = null
  /**
   * Data for the next write, and its range in the resource: positions in bytes, the end exclusive.
   */
  #pending: Uint8Array[] = []
  #start = 0
  #end = 0
  /** Number of bytes of the current part that are still to come, if its length is known. */
  #missing = 0
  /** The current part, if its length is unknown. */
  #open: OpenPart | null = null

  constructor(writer: Writer, options: PatchOptions) {
    this.#writer = writer
    this.#options = options
    this.#progress = progressOf(writer.base)
  }

  /** Progress of the resource once all data of the parts so far is written. */
  get progress(): Progress {
    return this.#progress
  }

  /** Whether the bytes differ from those of the base, the version that the write started from. */
  get changed(): boolean {
    return this.#changed
  }

  /** The result of the parts so far, from which the new state of the resource is made. */
  get outcome(): Omit<PatchOutcome, 'reprDigest' | 'owner'> {
    const { complete, completeLength } = this.#progress
    return {
      complete,
      completeLength,
      changed: this.#changed,
      contentType: this.#contentType,
      contentDisposition: this.#disposition,
    }
  }

  /**
   * The `Content-Disposition` of the parts; null if no part has one. If it is another spelling of
   * the stored value, the stored value is returned, so that a repeated segment changes nothing.
   */
  get #disposition(): string | null {
    const given = this.#contentDisposition
    const stored = this.#writer.base?.contentDisposition ?? null
    const isRepeated = given !== null && stored !== null && isSameDisposition(given, stored)
    return isRepeated ? stored : given
  }

  /**
   * The `Repr-Digest` of the parts, which covers the finished resource; null if no part has one.
   */
  get reprDigest(): string | null {
    return this.#reprDigest
  }

  /**
   * Whether every byte of the current part has been written. A part of unknown length shows that
   * only when its data reaches the end of the resource, because the rest may still have to replace
   * stored bytes.
   */
  get isWhole(): boolean {
    if (this.#open === null) return this.#missing === 0
    return this.#progress.complete && this.#end === this.#progress.completeLength
  }

  /**
   * Applies a batch of events. All of their data has been written when the promise resolves.
   *
   * @throws UploadError if a part does not fit the resource, and the errors of `onFit` and of the
   * writer.
   */
  async apply(events: readonly PartEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type === 'part') await this.#begin(event.part)
      else this.#gather(event.bytes)
    }
    await this.#flush()
  }

  /**
   * Ends the last part, and checks the patch as a whole.
   *
   * @throws UploadError `ERR_NOT_FOUND`, `ERR_GAP`, `ERR_COMPLETE_LENGTH` or `ERR_RANGE`.
   */
  end(): void {
    this.#closeOpen()
    this.#checkWhole()
  }

  /** Checks that the patch leaves no gap, and changes no finished resource that must not change. */
  #checkWhole(): void {
    const { base } = this.#writer
    const { rules } = this.#options
    checkWhole(base, this.#progress, rules)
    if (base === null || !base.complete || rules.finished !== 'immutable') return
    if ((this.#contentType ?? base.contentType) !== base.contentType)
      throw immutable('Content-Type')
    if ((this.#disposition ?? base.contentDisposition) !== base.contentDisposition) {
      throw immutable('Content-Disposition')
    }
  }

  /** Applies the header of a part: checks that it fits, and sets the range of its data. */
  async #begin(part: Part): Promise<void> {
    const { fillsGaps, rules, onFit } = this.#options
    if (this.#open !== null) {
      await this.#flush()
      this.#closeOpen()
    }
    const { target } = part
    const before = this.#progress
    this.#progress = advance(before, part, rules)
    this.#contentType ??= part.contentType
    this.#contentDisposition ??= part.contentDisposition
    this.#reprDigest = joinReprDigests([this.#reprDigest, part.reprDigest])
    if (!fillsGaps) this.#checkWhole()
    if (part.index === null || part.index === 0) await onFit()

    if (target.kind === 'size') {
      await this.#flush()
      if (this.#progress.size < before.size) await this.#truncate(this.#progress.size)
      return
    }
    if (target.start !== this.#end) {
      await this.#flush()
      this.#start = target.start
      this.#end = target.start
    }
    if (target.kind === 'open') this.#open = { part, target, before }
    else this.#missing = target.end - target.start
  }

  /** Applies a part of unknown length as the range of its data so far. */
  #extend({ part, target, before }: OpenPart): void {
    const closed = closeTarget(target, this.#end - target.start)
    this.#progress = advance(before, { ...part, target: closed }, this.#options.rules)
  }

  /**
   * Ends the part of unknown length, if one is open, at the next part or at the end of the patch.
   */
  #closeOpen(): void {
    // A part with data was extended when its data was written, so that only one without data is
    // applied here.
    if (this.#open?.target.start === this.#end) this.#extend(this.#open)
    this.#open = null
  }

  /** Adds data to the next write. */
  #gather(bytes: Uint8Array): void {
    this.#pending.push(bytes)
    this.#end += bytes.byteLength
    if (this.#open === null) this.#missing -= bytes.byteLength
  }

  /** Writes the gathered data, without the leading bytes that are stored already. */
  async #flush(): Promise<void> {
    const chunks = this.#pending
    const start = this.#start
    this.#pending = []
    this.#start = this.#end
    if (chunks.length === 0) return
    if (this.#open !== null) this.#extend(this.#open)

    // Once a byte has changed, the version is new anyway, and comparing would only read the
    // storage.
    const equal = this.#changed ? 0 : await countEqual(this.#writer, start, chunks)
    const rest = equal === 0 ? chunks : skip(chunks, equal)
    if (rest.length === 0) return
    this.#checkChange(start + equal)
    this.#changed = true
    await this.#writer.write(start + equal, rest)
  }

  /** Shortens a finished resource to `size` bytes, if the rules allow it. */
  async #truncate(size: number): Promise<void> {
    this.#checkChange(size)
    this.#changed = true
    await this.#writer.truncate(size)
  }

  /** Throws if the rules of the app forbid a change of the byte at `position`, or after it. */
  #checkChange(position: number): void {
    const { base } = this.#writer
    if (base === null) return
    const { appendOnly, finished } = this.#options.rules
    if (base.complete ? finished === 'immutable' : appendOnly && position < base.size) {
      throw new UploadError('ERR_COMPLETE_LENGTH', {
        detail: `the data differs from the stored bytes at ${position}, which must not change`,
      })
    }
  }
}

function immutable(what: string): UploadError {
  return new UploadError('ERR_COMPLETE_LENGTH', {
    detail: `the ${what} differs from that of a finished resource, which must not change`,
  })
}
