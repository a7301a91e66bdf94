/** Removes a resource for a caller of the client. */
import type { Connection } from './exchange.ts'
import type { RequestOptions } from './options.ts'
import { removeResource } from './resource.ts'
import { REQUEST } from './settings.ts'

/** Options of `remove`. */
export interface RemoveOptions extends RequestOptions {
  /**
   * Entity tag of the version to remove, with its quotes. If the resource has another one by now, the
   * call rejects with a `ClientError` of status 412.
   *
   * @default any version
   */
  readonly ifMatch?: string
}

/** The options of `remove`, as `settings.ts` describes. */
export const REMOVE = { ...REQUEST, ifMatch: '*' }

/** Returns a function that removes the resource, and may be called again after a failure. */
export function createRemoval({
  ifMatch,
}: RemoveOptions): (connection: Connection) => Promise<boolean> {
  return async (connection) => removeResource(connection, ifMatch)
}
