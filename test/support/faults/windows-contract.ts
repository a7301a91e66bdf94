/**
 * Runs the storage contract on the file store, and tries names that Windows reserves. Prints the
 * failures as JSON.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { storageContract } from '../../../src/storage/contract.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const RESERVED = ['CON', 'nul.txt', 'a/COM1', 'lpt¹.log', 'a.', 'a ', 'a:stream', 'a*', 'a?', 'a"']

function newStorage() {
  return fsStorage({ directory: mkdtempSync(path.join(tmpdir(), 'contract-')) })
}

const failures: string[] = []
for (const { name, run } of storageContract) {
  await run(newStorage).catch((error: unknown) => {
    failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
  })
}
const accepted: string[] = []
for (const key of RESERVED) {
  await newStorage()
    .head(key)
    .then(
      () => accepted.push(key),
      () => undefined,
    )
}
const { platform } = process
console.log(JSON.stringify({ platform, failures, accepted }))
