/** The targets that are fuzzed with the coverage as guide. */

/** A module of `targets/`, which exports `fuzz(data)`. */
export interface Target {
  /** Name of the module. */
  readonly name: string
  /** Name of the corpus. */
  readonly corpus: string
  /** Longest input, in bytes. */
  readonly maxLength: number
  /** Weight of the target when the time is divided among the targets. */
  readonly weight: number
  /** Whether `fuzz` returns a promise. */
  readonly isAsync: boolean
}

export const TARGETS: readonly Target[] = [
  { name: 'message', corpus: 'message', maxLength: 600, weight: 2, isAsync: false },
  { name: 'multipart', corpus: 'multipart', maxLength: 900, weight: 4, isAsync: false },
  { name: 'binary', corpus: 'binary', maxLength: 600, weight: 2, isAsync: false },
  { name: 'fields', corpus: 'fields', maxLength: 300, weight: 2, isAsync: false },
  { name: 'key', corpus: 'key', maxLength: 300, weight: 1, isAsync: false },
  { name: 'patch-memory', corpus: 'patch', maxLength: 900, weight: 3, isAsync: true },
  { name: 'patch-fs', corpus: 'patch', maxLength: 900, weight: 2, isAsync: true },
  { name: 'head-memory', corpus: 'head', maxLength: 900, weight: 2, isAsync: true },
  { name: 'head-fs', corpus: 'head', maxLength: 900, weight: 2, isAsync: true },
]
