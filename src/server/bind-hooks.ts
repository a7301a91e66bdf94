/** The hooks of the app and the subscribers of its channels, bound to one request. */
import { channel, type Channel } from 'node:diagnostics_channel'
import type { Hooks, Notifications } from '../hooks.ts'
import type { PartialUploadOptions } from '../options.ts'
import type { HttpRequest } from './transport.ts'

/** The channels, whose messages are `{ req, resource }`, with the resource of the hook of the same name. */
const PUBLISHED = channel('partial-upload:published')
const REMOVED = channel('partial-upload:removed')

/** Binds the hooks to `req`. */
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

/** The hooks of the app without a request, for events of an earlier request. */
export function bindNotifications<Request extends HttpRequest>({
  onPublished,
  onRemoved,
}: PartialUploadOptions<Request>): Notifications {
  return {
    onPublished: onPublished ? notify(PUBLISHED, null, onPublished) : null,
    onRemoved: onRemoved ? notify(REMOVED, null, onRemoved) : null,
  }
}

/** Subscribers get a message before the hook is called. */
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
