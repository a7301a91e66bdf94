/** Removes from the server what a person has seen, and nothing that came after it. */
import { remove, type ResourceStatus } from 'partial-upload/client'

/**
 * Removes this version of a file. Some servers have no entity tags: there it is whatever is stored.
 *
 * @throws ClientError of status 412 if it has changed meanwhile.
 */
export async function removeVersion(url: string, { etag }: ResourceStatus): Promise<void> {
  await remove(url, { retries: 3, ...(etag !== null && { ifMatch: etag }) })
}
