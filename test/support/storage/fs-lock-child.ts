/** Holds a lock until it is killed, or counts in a file under it. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { fsLocker } from '../../../src/storage/fs.ts'

const [, , directory = '', task] = process.argv
const locker = fsLocker({ directory })
const options = { wait: 20_000, stall: 20_000 }

if (task === 'hold') {
  await locker.acquire('a', options)
  process.send?.('held')
  setInterval(() => undefined, 1000)
} else {
  const counter = path.join(directory, 'counter')
  for (let step = 0; step < 20; step += 1) {
    const lock = await locker.acquire('a', options)
    const count = Number(readFileSync(counter, 'utf8'))
    await new Promise((done) => setImmediate(done))
    writeFileSync(counter, String(count + 1))
    lock.release()
  }
}
