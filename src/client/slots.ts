/**
 * A queue that lets a limited number of uploads run at the same time, in the order of their
 * arrival.
 */

/**
 * Gives the slot back, or leaves the queue if there was no free slot yet. A second call has no
 * effect.
 */
export type Leave = () => void

/** Queues an upload. Calls `begin` when a slot is free, possibly before this function returns. */
export type Enter = (begin: () => void) => Leave

/** Creates a queue with `limit` slots; 0 sets no limit. */
export function createSlots(limit: number): Enter {
  const queue = new Set<() => void>()
  let free = limit || Infinity

  function fill(): void {
    for (const entry of queue) {
      if (free < 1) return
      queue.delete(entry)
      free -= 1
      entry()
    }
  }

  return (begin) => {
    // A function of its own for each call: the set would hold the same `begin` only once.
    const entry = (): void => begin()
    let hasLeft = false
    queue.add(entry)
    fill()
    return () => {
      if (hasLeft) return
      hasLeft = true
      if (!queue.delete(entry)) free += 1
      fill()
    }
  }
}
