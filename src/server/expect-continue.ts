/** 100 Continue (RFC 9110 §10.1.1), sent once the app wants the content. */
import type { HttpRequest, HttpResponse } from './transport.ts'

/** Requests whose client waits for 100 Continue before it sends the content. */
const AWAITING = new WeakSet<HttpRequest>()

/** Whether the client still waits for 100 Continue, so that no content is on its way. */
export function isAwaitingContinue(req: HttpRequest): boolean {
  return AWAITING.has(req)
}

/**
 * Sends 100 Continue when the app begins to read the content, so that a client does not send content that is
 * refused by its header. Node has no event for the first read, but calls `_read` for it: streams are lazy.
 */
export function continueOnRead(req: HttpRequest, res: HttpResponse): void {
  AWAITING.add(req)
  req._read = (size) => {
    AWAITING.delete(req)
    // Uncovers the method of the class, which may be that of HTTP/1.1 or HTTP/2.
    Reflect.deleteProperty(req, '_read')
    // An interim response must not follow the final one (RFC 9110 §15.2).
    if (!res.headersSent && !res.writableEnded) res.writeContinue()
    req._read(size)
  }
}
