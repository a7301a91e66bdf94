/** Limits the number of uploads at the same time. The others wait in the order of their arrival. */

/** Leaves the slot or the queue. A second call has no effect. */
export type Leave = () => void

/** Calls `begin` when a slot is free, which may be at once. */
export type Enter = (begin: () => void) => Leave

/** Makes `limit` slots; 0 stands for any number. */
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
