/**
 * Gives the hooks of the app the request that they are called for. The protocol knows no Node
 * objects, so it calls hooks that have one argument, the resource.
 */
import { channel, type Channel } from 'node:diagnostics_channel'
import type { Hooks, Notifications } from '../hooks.ts'
import type { PartialUploadOptions } from '../options.ts'
import type { HttpRequest } from './transport.ts'

/**
 * Channels of `node:diagnostics_channel` for tracing. A message is `{ req, resource }`, and
 * `resource` is what the hook `onPublished` or `onRemoved` gets.
 */
const PUBLISHED = channel('partial-upload:published')
const REMOVED = channel('partial-upload:removed')

/**
 * Binds the hooks to `req`. `onPublished` and `onRemoved` are null if nothing would happen, because
 * the protocol then skips the system calls that prepare the resource.
 */
export function bindHooks<Request extends HttpRequest>(
  req: Request,
  options: PartialUploadOptions<Request>,
): Hooks {
  const { onCreate, onComplete, onPublished, onRemoved } = options
  return {
    onCreate: async (resource) => onCreate?.(req, resource),
    onComplete: async (resource) => (await onComplete?.(req, resource)) ?? null,
    onPublished:
      PUBLISHED.hasSubscribers || onPublished ? notify(PUBLISHED, req, onPublished) : null,
    onRemoved: REMOVED.hasSubscribers || onRemoved ? notify(REMOVED, req, onRemoved) : null,
  }
}

/**
 * Returns the hooks for events of a request that an earlier process has answered. Their request is
 * null.
 */
export function bindNotifications<Request extends HttpRequest>({
  onPublished,
  onRemoved,
}: PartialUploadOptions<Request>): Notifications {
  return {
    onPublished: onPublished ? notify(PUBLISHED, null, onPublished) : null,
    onRemoved: onRemoved ? notify(REMOVED, null, onRemoved) : null,
  }
}

/**
 * Returns a function that notifies the subscribers of the channel and then the hook. In this order
 * a hook that fails can't hide the event from the subscribers.
 */
function notify<Request, Resource>(
  events: Channel,
  req: Request | null,
  hook: ((req: Request | null, resource: Resource) => void | Promise<void>) | undefined,
): (resource: Resource) => Promise<void> {
  return async (resource) => {
    events.publish({ req, resource })
    await hook?.(req, resource)
  }
}
