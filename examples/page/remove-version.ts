/** Removes from the server what a person has seen, and nothing that came after it. */
import { ClientError, remove, status, type ResourceStatus } from 'partial-upload/client'

/**
 * Removes this version of a file. Some servers have no entity tags: there it is whatever is stored.
 *
 * @throws ClientError of status 412 if it has changed meanwhile.
 */
export async function removeVersion(url: string, { etag }: ResourceStatus): Promise<void> {
  await remove(url, { retries: 3, ...(etag !== null && { ifMatch: etag }) })
}

/** Largest number of times that an upload may grow while it is removed. */
const MAX_CHANGES = 10

/** Removes what has arrived of an upload, also what the server stores late. A finished file stays. */
export async function removeUpload(url: string): Promise<void> {
  for (let changes = 0; ; changes += 1) {
    const there = await status(url, { retries: 3 })
    if (there?.complete !== false) return
    try {
      await removeVersion(url, there)
      return
    } catch (error) {
      const isChanged = error instanceof ClientError && error.status === 412
      if (!isChanged || changes === MAX_CHANGES) throw error
    }
  }
}
