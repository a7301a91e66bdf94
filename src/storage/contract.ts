/**
 * The storage interface as checks, for every adapter: loop over `storageContract` in the runner of
 * your choice. What `adapter.ts` leaves open is left open here, too.
 */

import type { StorageCheck } from './contract/check.ts'
import { commitChecks } from './contract/commit.ts'
import { keyChecks } from './contract/keys.ts'
import { readChecks } from './contract/read.ts'
import { transactionChecks } from './contract/transaction.ts'
import { writeChecks } from './contract/write.ts'

export type { StorageCheck } from './contract/check.ts'

/** All checks. Each wants an empty storage of its own, and leaves no writer or reader open. */
export const storageContract: readonly StorageCheck[] = [
  ...writeChecks,
  ...transactionChecks,
  ...commitChecks,
  ...readChecks,
  ...keyChecks,
]
