/** Limits the rate of all transfers of a command together, for `--limit-rate`. */
import { setTimeout as pause } from 'node:timers/promises'

import type { BlobLike, Transport } from '../client/transport/transport.ts'

/** Largest number of bytes between two waits: the size of one write of the transport. */
const MAX_SLICE = 64 * 1024
/** Number of slices per second that each transfer gets at least. */
const SLICES_PER_SECOND = 8
/**
 * Longest time that can be caught up on, in milliseconds. A timer fires late, by a millisecond or
 * more. If that time were lost, a rate with short waits would never be reached. A longer time must
 * be lost: after a pause of a minute, the transfer would otherwise send the bytes of a minute at
 * once.
 */
const MAX_CREDIT = 100

/** Limits a rate. */
export interface Pace {
  /** The limit in bytes per second. */
  readonly rate: number
  /**
   * Largest number of bytes to send at once. With larger pieces a slow transfer would be silent for
   * longer than the server or the client waits for the next byte.
   */
  readonly slice: number
  /** Resolves when the bytes may be transferred. Rejects with the reason of the signal. */
  readonly take: (size: number, signal: AbortSignal) => Promise<void>
}

/** The time functions that a pace uses. */
export interface PaceClock {
  /** The time in milliseconds. It never goes back. */
  readonly now: () => number
  readonly wait: (delay: number, signal: AbortSignal) => Promise<void>
}

const SYSTEM_CLOCK: PaceClock = {
  now: () => performance.now(),
  wait: async (delay, signal) => pause(delay, undefined, { signal }),
}

/**
 * Creates a pace for `transfers` transfers at a time. Each call of `take` reserves the next span of
 * time, so that the transfers take turns, and no other state is shared between them.
 */
export function createPace(rate: number, transfers: number, clock = SYSTEM_CLOCK): Pace {
  // The time at which all bytes that were taken so far will have been sent.
  let sentAt = clock.now()
  const slice = Math.max(1, Math.floor(rate / SLICES_PER_SECOND / transfers))
  return {
    rate,
    slice: Math.min(slice, MAX_SLICE),
    take: async (size, signal) => {
      const now = clock.now()
      // Wait until these bytes and all bytes before them can have been sent at the rate.
      const start = Math.max(sentAt, now - MAX_CREDIT)
      sentAt = start + (size / rate) * 1000
      if (sentAt - now >= 1) await clock.wait(sentAt - now, signal)
    },
  }
}

/** Makes a transport that sends content at the pace; the same transport if there is no limit. */
export function withPace(transport: Transport, pace: Pace | null): Transport {
  if (pace === null) return transport
  return async (request) => {
    const body = request.body.map((piece) => pacedPiece(piece, pace, request.signal))
    return transport({ ...request, body })
  }
}

/**
 * Returns the piece in slices, each of which is yielded when it may be sent. The transport reads a
 * slice only after the network has taken the one before, so that the memory does not grow.
 */
function pacedPiece(piece: BlobLike, pace: Pace, signal: AbortSignal): BlobLike {
  return {
    size: piece.size,
    arrayBuffer: async () => piece.arrayBuffer(),
    async *stream() {
      for await (const chunk of piece.stream()) {
        for (let at = 0; at < chunk.byteLength; at += pace.slice) {
          const part = chunk.subarray(at, at + pace.slice)
          await pace.take(part.byteLength, signal)
          yield part
        }
      }
    },
  }
}
