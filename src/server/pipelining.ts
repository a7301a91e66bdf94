/**
 * One request at a time on each connection. Node hands over a pipelined request while the one before
 * is still being answered: a `HEAD` would tell what was there before the `PATCH` that it follows.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** The requests of one connection, in the order in which they came. */
interface Line {
  /** Resolves once the last of them has been answered. */
  end: Promise<void>
  /** An answer has said that the connection closes with it. */
  isClosing: boolean
}

const LINES = new WeakMap<Socket, Line>()
/** A request may come to several middlewares, and must not wait for itself. */
const SEEN = new WeakSet<IncomingMessage>()

/**
 * Waits until the requests before this one on its connection have been answered (RFC 9112 §9.3.2).
 * Returns false if one of the answers closes it: what follows must not be processed (§9.6).
 */
export async function takeTurn(req: IncomingMessage, res: ServerResponse): Promise<boolean> {
  // The streams of an HTTP/2 connection do not wait for each other.
  if (req.httpVersionMajor > 1 || SEEN.has(req)) return true
  SEEN.add(req)
  const { socket } = req
  const line = LINES.get(socket) ?? { end: Promise.resolve(), isClosing: false }
  LINES.set(socket, line)

  const before = line.end
  let leave = (): void => undefined
  line.end = new Promise((resolve) => (leave = resolve))
  await before
  if (line.isClosing) {
    leave()
    return false
  }
  onceAnswered(res, (isClosing) => {
    line.isClosing = isClosing
    leave()
  })
  return true
}

function onceAnswered(res: ServerResponse, done: (isClosing: boolean) => void): void {
  function end(): void {
    res.off('finish', end).off('close', end)
    // Later, so that a client that sends thousands of requests at once does not hold up the others.
    setImmediate(done, res.getHeader('connection') === 'close')
  }
  if (res.writableFinished || res.destroyed) {
    end()
    return
  }
  res.on('finish', end).on('close', end)
}
