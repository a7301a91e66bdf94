/**
 * Sends 100 Continue (RFC 9110 §10.1.1) when the app begins to read the content, and not before.
 */
import type { HttpRequest, HttpResponse } from './transport.ts'

/**
 * Requests that have `Expect: 100-continue`, and that have not been answered with 100 Continue yet.
 */
const AWAITING = new WeakSet<HttpRequest>()

/**
 * Whether the client still waits for 100 Continue. It has then sent no content that would have to
 * be discarded.
 */
export function isAwaitingContinue(req: HttpRequest): boolean {
  return AWAITING.has(req)
}

/**
 * Sends 100 Continue at the first read of the content, so that a client does not send gigabytes
 * that are refused because of the header. Node has no event for the first read, but its streams are
 * lazy: they call `_read` when data is wanted for the first time, so that a method of that name on
 * the request is called at that moment.
 */
export function continueOnRead(req: HttpRequest, res: HttpResponse): void {
  AWAITING.add(req)
  req._read = (size) => {
    AWAITING.delete(req)
    // Removes this method, so that the one of the class is visible again, which differs for
    // HTTP/1.1 and HTTP/2.
    Reflect.deleteProperty(req, '_read')
    // An interim response must not follow the final one (RFC 9110 §15.2).
    if (!res.headersSent && !res.writableEnded) res.writeContinue()
    req._read(size)
  }
}
