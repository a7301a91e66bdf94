/** Limits the number of uploads at the same time. The others wait in the order of their arrival. */

/** Leaves the slot, or the line. Does nothing the second time. */
export type Leave = () => void

/** Calls `start` when a slot is free, which may be at once. */
export type Enter = (start: () => void) => Leave

/** Makes `limit` slots; 0 stands for any number. */
export function createSlots(limit: number): Enter {
  const line = new Set<() => void>()
  let free = limit === 0 ? Infinity : limit

  function letIn(): void {
    for (const start of line) {
      if (free === 0) return
      line.delete(start)
      free -= 1
      start()
    }
  }

  return (start) => {
    const entry = (): void => start()
    let hasLeft = false
    line.add(entry)
    letIn()
    return () => {
      if (hasLeft) return
      hasLeft = true
      if (!line.delete(entry)) free += 1
      letIn()
    }
  }
}
