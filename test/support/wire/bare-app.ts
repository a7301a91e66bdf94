/** A minimal app that calls middlewares in order, for servers that Express does not support. */
import type { IncomingMessage, ServerResponse } from 'node:http'

type Next = (error?: unknown) => void
type Handler = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown

/**
 * Returns a handler that runs `handlers` for targets below `mount`, and passes their errors to
 * `onError`.
 */
export function bareApp(
  mount: string,
  handlers: readonly Handler[],
  onError: (error: unknown) => void,
): (req: IncomingMessage, res: ServerResponse) => void {
  return (req, res) => {
    const isBelow = req.url === mount || req.url?.startsWith(`${mount}/`) === true
    if (isBelow) req.url = req.url?.slice(mount.length) || '/'
    const run = (index: number, error?: unknown): void => {
      const handler = isBelow ? handlers[index] : undefined
      if (error !== undefined) {
        onError(error)
        if (!res.headersSent) res.writeHead(500).end()
      } else if (handler === undefined) {
        res.writeHead(404, { 'X-Passed-On': 'yes' }).end()
      } else {
        handler(req, res, (failure) => run(index + 1, failure))
      }
    }
    run(0)
  }
}
