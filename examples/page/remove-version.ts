/** Removes the version of a file that the page has shown, and no newer one. */
import { ClientError, remove, status, type ResourceStatus } from 'partial-upload/client'

/**
 * Removes this version of a file. If the server has no entity tags, removes whatever is stored.
 *
 * @throws ClientError with status 412 if another client has changed the file.
 */
export async function removeVersion(url: string, { etag }: ResourceStatus): Promise<void> {
  await remove(url, { retries: 3, ...(etag !== null && { ifMatch: etag }) })
}

/** Largest number of attempts. If the upload still grows after that, another client is sending it. */
const MAX_CHANGES = 10

/**
 * Removes an incomplete upload. The server may still store bytes of the aborted request, which changes
 * the entity tag, so that the removal is repeated. A file that another upload has finished is not
 * removed.
 */
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
