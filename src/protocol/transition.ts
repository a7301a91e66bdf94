/**
 * The state table of the protocol, as two pure functions: `advance` returns the state of a resource
 * after a part, and `checkWhole` checks the state after the whole patch.
 *
 * A resource is absent, incomplete or complete. An incomplete one has bytes from 0 to its size
 * without a gap, and a complete length that may be unknown; it becomes complete when its size
 * reaches that length. Positions and sizes are numbers of bytes, and the end of a range is
 * exclusive.
 */
import { UploadError } from '../errors.ts'
import type { Part, PartTarget } from '../media/part.ts'
import type { ResourceInfo } from '../storage/adapter.ts'

/** State of the resource after the parts so far. */
export interface Progress {
  /** Number of bytes from the start without a gap: the offset from which a client resumes. */
  readonly size: number
  /** Whether all bytes of the finished resource are present. */
  readonly complete: boolean
  /** Length of the finished resource in bytes; null while no client has declared it. */
  readonly completeLength: number | null
  /**
   * Whether the resource was finished before the patch, and no part has declared a length. A part
   * beyond the end then extends the length with it. Otherwise the declared length is a limit.
   */
  readonly lengthIsImplied: boolean
  /**
   * Ranges beyond `size`, by position. A later part of the patch has to fill the gaps before them.
   */
  readonly detachedRanges: readonly Range[]
}

/** A range of bytes; `end` is exclusive. */
interface Range {
  readonly start: number
  readonly end: number
}

type SizeTarget = Extract<PartTarget, { kind: 'size' }>
type OpenTarget = Extract<PartTarget, { kind: 'open' }>

/** The changes of the length that the options of the app allow. */
export interface TransitionRules {
  /**
   * Changes of a finished resource. If `mutable`, it can become shorter (`bytes *\/t`) or longer.
   */
  readonly finished: 'mutable' | 'same-length' | 'immutable'
  /** Status of `ERR_GAP`, the error for a range that begins beyond the end. */
  readonly gapStatus: number
}

/** The state of a resource that does not exist. */
const ABSENT: Progress = {
  size: 0,
  complete: false,
  completeLength: null,
  lengthIsImplied: false,
  detachedRanges: [],
}

/**
 * Returns the progress before the first part. `base` is the stored version; null if the resource
 * does not exist.
 */
export function progressOf(base: ResourceInfo | null): Progress {
  if (base === null) return ABSENT
  const { size, complete } = base
  const completeLength = complete ? size : base.completeLength
  return { size, complete, completeLength, lengthIsImplied: complete, detachedRanges: [] }
}

/**
 * Returns the progress after one part. A gap before the part is not an error here, because a later
 * part may fill it.
 *
 * @throws UploadError `ERR_COMPLETE_LENGTH` if the part contradicts the length of the resource,
 * `ERR_RANGE` if it has no bytes and does not begin at the end.
 */
export function advance(progress: Progress, part: Part, rules: TransitionRules): Progress {
  const { target } = part
  if (target.kind === 'size') return resize(progress, target, rules)
  if (target.kind === 'open') return begin(progress, target)
  if (target.start === target.end) return confirm(progress, target.start, target.completeLength)

  const completeLength = agreedLength(progress, target.completeLength)
  const lengthIsImplied = progress.lengthIsImplied && target.completeLength === null
  if (!lengthIsImplied && completeLength !== null && target.end > completeLength) {
    throw contradiction(
      `the range ends at ${target.end - 1}, but the resource will have ${completeLength} bytes`,
    )
  }
  const { size, detachedRanges } = mergeRange(progress, target)
  if (lengthIsImplied)
    return { size, complete: true, completeLength: size, lengthIsImplied, detachedRanges }
  const complete = size === completeLength && detachedRanges.length === 0
  return { size, complete, completeLength, lengthIsImplied, detachedRanges }
}

/**
 * Checks the patch as a whole. Called after the header of its only part, so that the data of a
 * refused part is not stored, or after the last of several parts.
 *
 * @throws UploadError `ERR_NOT_FOUND` for a gap in an absent resource, because the client has to
 * begin at 0, `ERR_GAP` for any other gap, `ERR_COMPLETE_LENGTH` for a change of length that the
 * app does not allow.
 */
export function checkWhole(
  base: ResourceInfo | null,
  progress: Progress,
  rules: TransitionRules,
): void {
  const [gap] = progress.detachedRanges
  if (gap !== undefined && base === null && progress.size === 0) {
    throw new UploadError('ERR_NOT_FOUND', {
      detail: `expected a range that begins at 0, found one that begins at ${gap.start}`,
      members: { received: 0, 'expected-offset': 0, 'provided-offset': gap.start },
    })
  }
  if (gap !== undefined) {
    throw new UploadError('ERR_GAP', {
      detail: `expected a range that begins at ${progress.size} or before, found one that begins at ${gap.start}`,
      status: rules.gapStatus,
      members: { 'expected-offset': progress.size, 'provided-offset': gap.start },
    })
  }
  const isResized = base?.complete === true && !(progress.complete && progress.size === base.size)
  if (isResized && rules.finished !== 'mutable') {
    throw contradiction(`a finished resource of ${base.size} bytes must keep its length`)
  }
}

/**
 * Returns the complete length after a part that declares `announced`; null if it is still unknown.
 * A part may repeat the declared length or leave it out (`*`).
 *
 * @throws UploadError `ERR_COMPLETE_LENGTH` for another length, or one below the bytes that are
 * present.
 */
function agreedLength(progress: Progress, announced: number | null): number | null {
  const { lengthIsImplied, completeLength } = progress
  const end = endOfAll(progress)
  if (announced === null) return completeLength
  if (!lengthIsImplied && completeLength !== null && announced !== completeLength) {
    throw contradiction(`complete-length ${announced} is not the declared ${completeLength}`)
  }
  if (announced < end) {
    throw contradiction(`complete-length ${announced} is less than the ${end} bytes so far`)
  }
  return announced
}

/** Returns the position after the last byte, even if there is a gap before it. */
function endOfAll({ size, detachedRanges }: Progress): number {
  return detachedRanges.reduce((end, range) => Math.max(end, range.end), size)
}

/**
 * Applies the header of a part of unknown length: its start and the length that it declares. Its
 * data is applied as a range when it has arrived.
 */
function begin(progress: Progress, { start, completeLength: announced }: OpenTarget): Progress {
  const completeLength = agreedLength(progress, announced)
  const lengthIsImplied = progress.lengthIsImplied && announced === null
  const { size, detachedRanges } = mergeRange(progress, { start, end: start })
  const complete = size === completeLength && detachedRanges.length === 0
  return { size, complete, completeLength, lengthIsImplied, detachedRanges }
}

/**
 * Applies `bytes *\/t`, which has no data: declares or confirms the length, or changes that of a
 * finished resource.
 */
function resize(progress: Progress, target: SizeTarget, rules: TransitionRules): Progress {
  const { size, detachedRanges } = progress
  const { completeLength, start = size } = target
  if (start !== size) throw notAtEnd(start, size)
  const lengthIsImplied = false
  if (progress.lengthIsImplied && detachedRanges.length === 0 && completeLength < size) {
    if (rules.finished === 'mutable') {
      return {
        size: completeLength,
        complete: true,
        completeLength,
        lengthIsImplied,
        detachedRanges,
      }
    }
    throw contradiction(
      `complete-length ${completeLength} is less than the ${size} stored bytes, which must not change`,
    )
  }
  agreedLength(progress, completeLength)
  return {
    size,
    complete: size === completeLength,
    completeLength,
    lengthIsImplied,
    detachedRanges,
  }
}

/**
 * Applies a range without bytes, such as `bytes 4-3/10`. A client sends it if no byte is left to
 * send, for example because a request whose answer was lost has stored all of them. The range has
 * to begin at the end of the resource and to agree with its length. It can't create a resource.
 */
function confirm(progress: Progress, start: number, announced: number | null): Progress {
  if (progress === ABSENT) throw notAtEnd(start, 0)
  const { size, detachedRanges } = progress
  const completeLength = progress.completeLength ?? (announced === size ? size : null)
  if (
    start !== size ||
    detachedRanges.length > 0 ||
    (announced ?? completeLength) !== completeLength
  ) {
    throw notAtEnd(start, size)
  }
  return { ...progress, completeLength, complete: size === completeLength }
}

/** Adds a range, and joins the ranges that have no gap between them any more. */
function mergeRange(progress: Progress, range: Range): Pick<Progress, 'size' | 'detachedRanges'> {
  let { size } = progress
  const detachedRanges: Range[] = []
  const ranges = [...progress.detachedRanges, { start: range.start, end: range.end }]
  for (const next of ranges.sort((a, b) => a.start - b.start)) {
    if (next.start <= size) size = Math.max(size, next.end)
    else detachedRanges.push(next)
  }
  return { size, detachedRanges }
}

function notAtEnd(start: number, size: number): UploadError {
  return new UploadError('ERR_RANGE', {
    detail: `the range at ${start} has no bytes, and does not begin at the end of the ${size} stored bytes`,
  })
}

function contradiction(detail: string): UploadError {
  return new UploadError('ERR_COMPLETE_LENGTH', { detail })
}
