/** Removes uploads that nobody has gone on with for a week. */

import { expireIncomplete, type StorageAdapter } from 'partial-upload'

const DAY = 24 * 60 * 60 * 1000

export function expireDaily(storage: StorageAdapter): NodeJS.Timeout {
  return setInterval(() => void expireIncomplete({ storage, olderThan: 7 * DAY }), DAY).unref()
}
