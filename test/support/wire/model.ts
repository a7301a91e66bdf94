/**
 * A resource as a plain string, and the effect of a request on it: a second, short form of the
 * state table.
 */

/**
 * The visible state of a resource, and whether it was complete before. Null if it does not exist.
 */
export type Model = {
  readonly bytes: string
  /** The declared length; null if no request has declared it. */
  readonly length: number | null
  readonly isComplete: boolean
  readonly wasComplete: boolean
} | null

export interface ModelPart {
  readonly first: number
  readonly data: string
  /** The complete-length; null for `*`. */
  readonly total: number | null
}

/** A status, and the resource afterwards. A refusal does not change it. */
export interface Outcome {
  readonly status: number
  readonly model: Model
}

export function stateOf(model: Model): string {
  if (model === null) return '∅'
  const size = model.bytes.length
  return model.isComplete ? `C(${size})` : `I(${size}/${model.length ?? '*'})`
}

export function contentRange({ first, data, total }: ModelPart): string {
  return `bytes ${first}-${first + data.length - 1}/${total ?? '*'}`
}

/** A patch of one or more parts with equal totals, in the order of their positions. */
export function patch(model: Model, parts: readonly ModelPart[]): Outcome {
  let draft = model
  for (const part of parts) {
    const status = refusal(draft, part)
    if (status !== null) return { status, model }
    draft = write(draft, part)
  }
  return checkWhole(model, draft)
}

/** `Content-Range: bytes *\/total`. */
export function declare(model: Model, total: number): Outcome {
  const refused = { status: 409, model }
  if (model === null) {
    const empty = { bytes: '', length: total, isComplete: false, wasComplete: false }
    return checkWhole(model, empty)
  }
  const size = model.bytes.length
  if (!model.isComplete) {
    if (model.length === null && total < size) return refused
    if (model.length !== null && total !== model.length) return refused
    return checkWhole(model, { ...model, length: total })
  }
  if (total > size) return checkWhole(model, { ...model, length: total, isComplete: false })
  return checkWhole(model, { ...model, bytes: model.bytes.slice(0, total), length: total })
}

export function put(model: Model, bytes: string): Outcome {
  const next = { bytes, length: bytes.length, isComplete: true, wasComplete: true }
  return { status: model?.wasComplete === true ? 204 : 201, model: next }
}

export function remove(model: Model): Outcome {
  return { status: model === null ? 404 : 204, model: null }
}

/** The connection of a one-part patch was cut when `data` of it had arrived. */
export function cut(model: Model, part: ModelPart, received: string): Model {
  if (refusal(model, part) !== null || model?.isComplete === true || received === '') return model
  return write(model, { ...part, data: received })
}

/**
 * The connection of a PUT with `Prefer: transaction=persist` was cut: only a new resource keeps it.
 */
export function cutPut(model: Model, received: string): Model {
  if (model !== null) return model
  return { bytes: received, length: null, isComplete: false, wasComplete: false }
}

/** A condition on the version: one entity tag, or `*` for any. */
export interface Condition {
  readonly field: 'If-Match' | 'If-None-Match'
  readonly tag: 'current' | 'other' | 'any'
}

/** RFC 9110 §13.1.1 and §13.1.2. */
export function holds(model: Model, { field, tag }: Condition): boolean {
  const isMatch = model !== null && tag !== 'other'
  return isMatch === (field === 'If-Match')
}

/** The status and the content of the answer to a GET. The end of a range is exclusive. */
export function get(
  model: Model,
  condition: Condition | null,
  range: readonly [start: number, end: number] | null,
): { readonly status: number; readonly content: string | null } {
  if (model === null) return { status: 404, content: '' }
  if (condition !== null && !holds(model, condition)) {
    return condition.field === 'If-Match'
      ? { status: 412, content: null }
      : { status: 304, content: '' }
  }
  const { bytes, isComplete } = model
  const isWhole = range === null || bytes === ''
  if (isWhole) return { status: isComplete ? 200 : 299, content: bytes }
  return range[0] < bytes.length
    ? { status: 206, content: bytes.slice(...range) }
    : { status: 416, content: null }
}

function refusal(model: Model, { first, data, total }: ModelPart): number | null {
  if (model === null) return first === 0 ? null : 404
  const size = model.bytes.length
  if (first > size) return 409
  if (total !== null && total < size) return 409
  if (model.isComplete || model.length === null) return null
  if (total !== null && total !== model.length) return 409
  return first + data.length > model.length ? 409 : null
}

function write(model: Model, { first, data, total }: ModelPart): Model {
  const old = model?.bytes ?? ''
  const bytes = old.slice(0, first) + data + old.slice(first + data.length)
  const wasComplete = model?.wasComplete ?? false
  if (model?.isComplete !== true) {
    const length = model?.length ?? total
    return { bytes, length, isComplete: false, wasComplete }
  }
  const isReopened = total !== null && total > bytes.length
  return { bytes, length: total ?? bytes.length, isComplete: !isReopened, wasComplete }
}

/** A resource with all of its bytes is complete. */
function checkWhole(before: Model, draft: Model): Outcome {
  if (draft === null) return { status: 404, model: before }
  const isComplete = draft.isComplete || draft.bytes.length === draft.length
  const model = { ...draft, isComplete, wasComplete: draft.wasComplete || isComplete }
  if (!isComplete) return { status: 202, model }
  return { status: draft.wasComplete ? 204 : 201, model }
}
