/**
 * Starts a store, and with it a sweep, in a process whose clock is two hours ahead; then waits to
 * be killed.
 */
const AHEAD = 2 * 3_600_000
const now = Date.now
Date.now = () => now() + AHEAD

const [, , directory = ''] = process.argv
const { fsStorage } = await import('../../../src/storage/fs.ts')
await fsStorage({ directory }).head('b')
process.send?.(Date.now())
setInterval(() => undefined, 1000)
