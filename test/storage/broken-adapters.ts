/** Adapters with exactly one mistake each, which the storage contract has to detect. */
import type { BrokenAdapter } from './broken-adapters/break.ts'
import { commitMistakes } from './broken-adapters/commit.ts'
import { endMistakes } from './broken-adapters/end.ts'
import { fencingMistakes } from './broken-adapters/fencing.ts'
import { keyMistakes } from './broken-adapters/keys.ts'
import { notesMistakes } from './broken-adapters/notes.ts'
import { readMistakes } from './broken-adapters/read.ts'
import { validatorMistakes } from './broken-adapters/validators.ts'
import { writeMistakes } from './broken-adapters/write.ts'

export const BROKEN_ADAPTERS: readonly BrokenAdapter[] = [
  ...readMistakes,
  ...writeMistakes,
  ...endMistakes,
  ...commitMistakes,
  ...fencingMistakes,
  ...validatorMistakes,
  ...keyMistakes,
  ...notesMistakes,
]
