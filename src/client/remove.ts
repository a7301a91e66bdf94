/** The public form of removing a resource. */
import type { Connection } from './exchange.ts'
import type { RequestOptions } from './options.ts'
import { removeResource } from './resource.ts'
import { REQUEST } from './settings.ts'

/** Options of `remove`. */
export interface RemoveOptions extends RequestOptions {
  /**
   * Entity tag of the version to remove, with its quotes. If another client has changed the
   * resource since, the call rejects with a `ClientError` of status 412.
   *
   * @default any version is removed
   */
  readonly ifMatch?: string
}

/** The table of the options of `remove`, in the form that `settings.ts` describes. */
export const REMOVE = { ...REQUEST, ifMatch: '*' }

/** Returns a function that removes the resource, and that may be called again after a failure. */
export function createRemoval({
  ifMatch,
}: RemoveOptions): (connection: Connection) => Promise<boolean> {
  return async (connection) => removeResource(connection, ifMatch)
}
