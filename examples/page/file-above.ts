/** Finds the file on the server that prevents a folder of the same name. */
import { status } from 'partial-upload/client'

import { urlOf } from './file-picker.ts'

/**
 * Returns the path of a file on the server that has the name of one of the folders of `key`; null if
 * there is none.
 */
export async function findFileAbove(key: string, signal: AbortSignal): Promise<string | null> {
  const folders = key.split('/').slice(0, -1)
  for (const index of folders.keys()) {
    const path = folders.slice(0, index + 1).join('/')
    const found = await status(urlOf(path), { retries: 3, signal }).catch(() => null)
    if (found !== null) return path
  }
  return null
}
