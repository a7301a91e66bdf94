/** Handles two differences of Windows: names that it reserves, and renames over open files. */

import { rename, unlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { IS_WINDOWS, errorCode } from './io.ts'

/**
 * Whether the system finds a file under other names: in another case or Unicode form, or (on
 * Windows) by a short name.
 */
export const HAS_ALIASES = IS_WINDOWS || process.platform === 'darwin'

/**
 * Names of devices, which Windows reserves in every directory and with any extension: `nul.txt` is
 * the null device. COM¹ is the serial port COM1.
 */
const DEVICE = /^(?:con|prn|aux|nul|(?:com|lpt)[\d¹²³]|conin\$|conout\$) *(?:\.|$)/i
/**
 * Characters that Windows does not allow in a name, except that a colon separates the name of a
 * stream. Dots and spaces at the end are dropped by Windows.
 */
const FORBIDDEN = /[<>:"|?*]|[. ]$/

/**
 * Returns whether this process runs on Windows and the system refuses the name, or treats it as the
 * name of a device, a stream or another file.
 */
export function isForbiddenName(name: string): boolean {
  return IS_WINDOWS && (FORBIDDEN.test(name) || DEVICE.test(name))
}

/**
 * Largest number of attempts of a rename over an open file, and the longest pause between two
 * attempts in milliseconds.
 */
const TRIES = 100
const MAX_PAUSE = 40

/**
 * Renames `from` to `to`. Windows refuses that while another process has `to` open. A record is
 * open only for a moment, so that the rename is repeated after a short pause. A published file may
 * be open for hours, so that the caller passes `aside`: the old file is renamed to that name and
 * unlinked, which Windows allows for a file that was opened by Node. Between the two renames the
 * path has no file.
 */
export async function replaceFile(from: string, to: string, aside?: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await rename(from, to)
    } catch (error) {
      if (!IS_WINDOWS || tries === TRIES || !isInUse(error)) throw error
      // The pause is random, so that the attempts do not coincide again and again with the reads of
      // a client that polls at a fixed rate.
      if (aside === undefined) await sleep(Math.random() * MAX_PAUSE)
      else await moveAside(to, aside)
    }
  }
}

async function moveAside(path: string, aside: string): Promise<void> {
  await rename(path, aside).catch(() => {}) // The next attempt fails too, and reports the error.
  await unlink(aside).catch(() => {}) // A sweep removes the file later.
}

/** Returns whether Windows refuses a rename because a file is open. */
function isInUse(error: unknown): boolean {
  return ['EPERM', 'EACCES', 'EBUSY'].includes(errorCode(error) ?? '')
}
