/**
 * The storage contract: the requirements of `adapter.ts` as checks for any test runner. Where the
 * interface leaves a choice to the adapter, the checks accept each of the choices.
 */

import { behindChecks } from './contract/behind.ts'
import type { StorageCheck } from './contract/check.ts'
import { commitChecks } from './contract/commit.ts'
import { fencingChecks } from './contract/fencing.ts'
import { keyChecks } from './contract/keys.ts'
import { largeChecks } from './contract/large.ts'
import { listChecks } from './contract/list.ts'
import { persistChecks } from './contract/persist.ts'
import { notesChecks } from './contract/notes.ts'
import { readChecks } from './contract/read.ts'
import { replaceChecks } from './contract/replace.ts'
import { stateChecks } from './contract/state.ts'
import { transactionChecks } from './contract/transaction.ts'
import { versionChecks } from './contract/versions.ts'
import { visibleChecks } from './contract/visible.ts'
import { writeChecks } from './contract/write.ts'

export type { StorageCheck } from './contract/check.ts'

/**
 * All checks. Each one needs a new, empty storage, and ends all writers and readers that it opens.
 */
export const storageContract: readonly StorageCheck[] = [
  ...writeChecks,
  ...replaceChecks,
  ...persistChecks,
  ...transactionChecks,
  ...commitChecks,
  ...fencingChecks,
  ...stateChecks,
  ...readChecks,
  ...versionChecks,
  ...visibleChecks,
  ...behindChecks,
  ...largeChecks,
  ...keyChecks,
  ...listChecks,
  ...notesChecks,
]
