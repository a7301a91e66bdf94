/**
 * The states of an upload. They are more than those of the client: the page also has a queue, waits for
 * other tabs, and asks the user to decide.
 */
import type { ResourceStatus } from 'partial-upload/client'

/** The state of an upload. */
export type ItemState =
  /** The upload waits until others have ended. */
  | { readonly kind: 'queued' }
  /** The upload waits until another one of the same name has ended, in this page or in another tab. */
  | { readonly kind: 'elsewhere'; readonly where: 'here' | 'tab' }
  /** The client sends bytes, or asks the server for the offset. */
  | { readonly kind: 'running' }
  /** The next attempt begins at `until`, as of `performance.now()`; if it is null, when online. */
  | { readonly kind: 'waiting'; readonly until: number | null; readonly error: Error }
  | { readonly kind: 'paused' }
  /** The user has cancelled the upload, and has to decide whether the server keeps the stored part. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'removing' }
  /** The server has a different file of this name, and the user has to decide. */
  | {
      readonly kind: 'clash'
      readonly there: ResourceStatus | null
      /**
       * Whether the server does not let the client compare the two files, so that they may be the same.
       */
      readonly isUnverified: boolean
    }
  | {
      readonly kind: 'failed'
      readonly error: unknown
      /**
       * Path of a file on the server that has the name of one of the folders of this file; null
       * otherwise.
       */
      readonly fileAbove: string | null
    }
  /** The server has exactly this file: from this upload, from another client, or from before. */
  | { readonly kind: 'done'; readonly by: 'this' | 'another' | 'earlier' }
