/** The hooks of the app and the subscribers of its channels, bound to one request. */
import { channel } from 'node:diagnostics_channel'
import type { Hooks } from '../hooks.ts'
import type { PartialUploadOptions } from '../options.ts'
import type { HttpRequest } from './transport.ts'

/** The channels, whose messages are `{ req, resource }`, with the resource of the hook of the same name. */
const PUBLISHED = channel('partial-upload:published')
const REMOVED = channel('partial-upload:removed')

/** Binds the hooks to `req`. Subscribers get a message before the hook is called. */
export function bindHooks<Request extends HttpRequest>(
  req: Request,
  { onCreate, onComplete, onPublished, onRemoved }: PartialUploadOptions<Request>,
): Hooks {
  return {
    onCreate: async (resource) => onCreate?.(req, resource),
    onComplete: async (resource) => (await onComplete?.(req, resource)) ?? null,
    onPublished:
      onPublished === undefined && !PUBLISHED.hasSubscribers
        ? null
        : async (resource) => {
            PUBLISHED.publish({ req, resource })
            await onPublished?.(req, resource)
          },
    onRemoved: async (resource) => {
      REMOVED.publish({ req, resource })
      await onRemoved?.(req, resource)
    },
  }
}
