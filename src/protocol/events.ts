/** Calls the app's hooks after a commit or a removal, which an error of a hook can't undo any more. */
import { dispositionName } from '../fields/content-disposition.ts'
import type { Hooks } from '../hooks.ts'
import type { ResourceInfo, StorageAdapter } from '../storage/adapter.ts'

/** A version that was committed. */
export interface Publication {
  readonly key: string
  /** The version that the write started from; null if the resource was absent. */
  readonly base: ResourceInfo | null
  /** The finished version. */
  readonly info: ResourceInfo
}

/** Calls `onPublished`. Resolves after the hook has ended. An error of the hook becomes a process warning. */
export async function notifyPublished(
  { key, base, info }: Publication,
  { hooks, storage }: { readonly hooks: Hooks; readonly storage: StorageAdapter },
): Promise<void> {
  const { onPublished } = hooks
  // Return before `filePath`, which takes several system calls.
  if (onPublished === null) return
  const { size, etag, lastModified, contentType, contentDisposition } = info
  await reportErrors('onPublished', key, async () =>
    onPublished({
      key,
      size,
      etag,
      lastModified,
      contentType,
      name: dispositionName(contentDisposition),
      previous: base?.complete === true ? base : null,
      path: (await storage.filePath?.(key)) ?? null,
    }),
  )
}

/** Calls `onRemoved`. Resolves after the hook has ended. An error of the hook becomes a process warning. */
export async function notifyRemoved(key: string, info: ResourceInfo, hooks: Hooks): Promise<void> {
  const { complete, size, etag, contentType, contentDisposition } = info
  const name = dispositionName(contentDisposition)
  await reportErrors('onRemoved', key, () =>
    hooks.onRemoved({ key, complete, size, etag, contentType, name }),
  )
}

/** Emits an error as a process warning, because the request has succeeded and its answer can't report the error. */
async function reportErrors(hook: string, key: string, notify: () => Promise<void>): Promise<void> {
  try {
    await notify()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    process.emitWarning(
      new Error(`partial-upload: ${hook} failed for '${key}': ${reason}`, { cause }),
    )
  }
}
