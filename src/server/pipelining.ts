/**
 * Answers one request at a time on each HTTP/1.1 connection. Node emits a pipelined request while
 * an earlier one of the connection is still being answered. A `HEAD` would then report the state
 * before the `PATCH` that it follows. RFC 9112 §9.3.2 allows a server to process safe methods at
 * the same time, but other middlewares of the app may answer earlier requests, and this file can't
 * know whether those are safe.
 */
import type { Socket } from 'node:net'
import type { HttpRequest, HttpResponse } from './transport.ts'

/**
 * Largest number of requests that wait on one connection before the socket is paused, which limits
 * the memory that one client can use. The requests in the last read of up to 64 KiB, which Node
 * parses at once, may exceed it.
 */
const MOST_WAITING = 16

/** The requests of one connection, in the order in which they came. */
interface RequestQueue {
  /** Resolves once the last request of the queue has been answered. */
  end: Promise<void>
  /** Requests that wait for the answers to earlier ones. */
  waiting: number
  /**
   * Whether an answer has announced, with `Connection: close`, that it is the last one of the
   * connection.
   */
  isClosing: boolean
}

/** The queue of each connection. */
const QUEUES = new WeakMap<Socket, RequestQueue>()
/**
 * Requests in a queue. An app may pass one request to several middlewares, and it must not wait for
 * itself.
 */
const SEEN = new WeakSet<HttpRequest>()

/**
 * Waits until the requests before this one on its connection have been answered (RFC 9112 §9.3.2).
 * Returns false if one of the answers has closed the connection, because this request must then not
 * be processed (§9.6).
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
 * Waits for `before`, and pauses the socket while too many requests wait. The pause can't stop the
 * content of the request that is being answered: later requests come after that content, so it has
 * been read when they are queued.
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

/**
 * Pauses the socket again, because Node resumes it whenever the content of any of its requests is
 * read.
 */
function keepPaused(this: Socket): void {
  this.pause()
}

/** Calls `done` once the response is sent or its connection is closed. */
function onceAnswered(res: HttpResponse, done: (isClosing: boolean) => void): void {
  function end(): void {
    res.off('finish', end).off('close', end)
    // Wait for the next iteration of the event loop, so that thousands of pipelined requests don't
    // block it.
    setImmediate(done, res.getHeader('connection') === 'close')
  }
  if (res.writableFinished || res.destroyed) {
    end()
    return
  }
  res.on('finish', end).on('close', end)
}
