/** What a file system of Windows does differently. */

import { rename, unlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { IS_WINDOWS, errorCode } from './io.ts'

/** The system may find a file by another name: in another case, another Unicode form, or a short one. */
export const HAS_ALIASES = IS_WINDOWS || process.platform === 'darwin'

/** Devices, whatever follows after a dot; COM¹ is one, too. */
const DEVICE = /^(?:con|prn|aux|nul|(?:com|lpt)[\d¹²³]|conin\$|conout\$) *(?:\.|$)/i
/** A colon begins the name of a stream; a dot or a space at the end is dropped. */
const FORBIDDEN = /[<>:"|?*]|[. ]$/

/** Returns whether Windows refuses a name, or has another meaning for it. */
export function isForbiddenName(name: string): boolean {
  return IS_WINDOWS && (FORBIDDEN.test(name) || DEVICE.test(name))
}

/** How often a rename is tried while the file that it replaces is open, and the longest pause between. */
const TRIES = 100
const MAX_PAUSE = 40

/**
 * Renames a file onto another. Windows refuses that while the other one is open: a reader of a record
 * is gone in a moment, and is waited for; a file that may be read for longer is moved to `aside` and
 * removed.
 */
export async function replaceFile(from: string, to: string, aside?: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await rename(from, to)
    } catch (error) {
      if (!IS_WINDOWS || tries === TRIES || !isInUse(error)) throw error
      // By chance, so that it is not in step with a reader that comes again and again.
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
