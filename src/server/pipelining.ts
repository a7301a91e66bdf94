/**
 * One request at a time on each connection. Node hands over a pipelined request while the one before is
 * still being answered: a `HEAD` would report the state before the `PATCH` that it follows. RFC 9112 §9.3.2
 * allows to process safe methods at the same time, but neither order nor safety can be seen from here.
 */
import type { Socket } from 'node:net'
import type { HttpRequest, HttpResponse } from './transport.ts'

/**
 * Requests that may wait on one connection before the socket is paused, which bounds the memory that one client
 * can use. The requests in one read of up to 64 KiB, which the parser has already got, come on top.
 */
const MOST_WAITING = 16

/** The requests of one connection, in the order in which they came. */
interface RequestQueue {
  /** Resolves once the last request of the queue has been answered. */
  end: Promise<void>
  /** Requests that wait for the answers to earlier ones. */
  waiting: number
  /** An answer has announced that the connection closes with it. */
  isClosing: boolean
}

const QUEUES = new WeakMap<Socket, RequestQueue>()
/** A request may come to several middlewares, and must not wait for itself. */
const SEEN = new WeakSet<HttpRequest>()

/**
 * Waits until the requests before this one on its connection have been answered (RFC 9112 §9.3.2).
 * Returns false if one of the answers closes it: what follows must not be processed (§9.6).
 */
export async function waitForEarlierRequests(
  req: HttpRequest,
  res: HttpResponse,
): Promise<boolean> {
  // The streams of an HTTP/2 connection do not wait for each other.
  if (req.httpVersionMajor > 1 || SEEN.has(req)) return true
  SEEN.add(req)
  const { socket } = req
  const queue = QUEUES.get(socket) ?? { end: Promise.resolve(), waiting: 0, isClosing: false }
  QUEUES.set(socket, queue)

  const before = queue.end
  let leave = (): void => undefined
  queue.end = new Promise((resolve) => (leave = resolve))
  await waitInQueue(before, queue, socket)
  if (queue.isClosing) {
    leave()
    return false
  }
  onceAnswered(res, (isClosing) => {
    queue.isClosing = isClosing
    leave()
  })
  return true
}

/**
 * Stops reading the connection while too many requests wait. The request that is being answered still
 * gets all of its content, because Node parses a later request only after the content of earlier ones.
 */
async function waitInQueue(
  before: Promise<void>,
  queue: RequestQueue,
  socket: Socket,
): Promise<void> {
  queue.waiting += 1
  if (queue.waiting === MOST_WAITING + 1) {
    socket.on('resume', keepPaused)
    socket.pause()
  }
  await before
  queue.waiting -= 1
  if (queue.waiting === MOST_WAITING) {
    socket.off('resume', keepPaused)
    socket.resume()
  }
}

/** Node resumes the socket whenever the content of any of its requests is read. */
function keepPaused(this: Socket): void {
  this.pause()
}

function onceAnswered(res: HttpResponse, done: (isClosing: boolean) => void): void {
  function end(): void {
    res.off('finish', end).off('close', end)
    // In a later iteration of the event loop, so that thousands of pipelined requests don't block it.
    setImmediate(done, res.getHeader('connection') === 'close')
  }
  if (res.writableFinished || res.destroyed) {
    end()
    return
  }
  res.on('finish', end).on('close', end)
}
