/** Differences of Windows: names that it reserves, and renames over open files. */

import { rename, unlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { IS_WINDOWS, errorCode } from './io.ts'

/** Whether the system finds a file by another name: in another case or Unicode form, or by a short name. */
export const HAS_ALIASES = IS_WINDOWS || process.platform === 'darwin'

/** Names of devices, with any extension. COM¹ is one, too. */
const DEVICE = /^(?:con|prn|aux|nul|(?:com|lpt)[\d¹²³]|conin\$|conout\$) *(?:\.|$)/i
/** A colon separates the name of a stream, and Windows drops dots and spaces at the end. */
const FORBIDDEN = /[<>:"|?*]|[. ]$/

/** Returns whether Windows refuses a name or gives it another meaning. */
export function isForbiddenName(name: string): boolean {
  return IS_WINDOWS && (FORBIDDEN.test(name) || DEVICE.test(name))
}

/** Attempts of a rename over an open file, and the longest pause between two in milliseconds. */
const TRIES = 100
const MAX_PAUSE = 40

/**
 * Renames a file over another one, which Windows refuses while the other file is open. A record is open only
 * for a moment, so that the rename is tried again. A file that may be read for longer is first renamed to
 * `aside` and removed.
 */
export async function replaceFile(from: string, to: string, aside?: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await rename(from, to)
    } catch (error) {
      if (!IS_WINDOWS || tries === TRIES || !isInUse(error)) throw error
      // A random pause, so that the attempts don't coincide with the reads of one client again and again.
      if (aside === undefined) await sleep(Math.random() * MAX_PAUSE)
      else await moveAside(to, aside)
    }
  }
}

async function moveAside(path: string, aside: string): Promise<void> {
  await rename(path, aside).catch(() => {}) // The next try reports why.
  await unlink(aside).catch(() => {}) // A sweep takes it.
}

function isInUse(error: unknown): boolean {
  return ['EPERM', 'EACCES', 'EBUSY'].includes(errorCode(error) ?? '')
}
