/**
 * Runs the part of the storage contract in which files are replaced or removed while they are open,
 * because Windows differs there, and tries names that it reserves. Prints the failures as JSON.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { readChecks } from '../../../src/storage/contract/read.ts'
import { replaceChecks } from '../../../src/storage/contract/replace.ts'
import { versionChecks } from '../../../src/storage/contract/versions.ts'
import { visibleChecks } from '../../../src/storage/contract/visible.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const RESERVED = ['CON', 'nul.txt', 'a/COM1', 'lpt¹.log', 'a.', 'a ', 'a:stream', 'a*', 'a?', 'a"']

function newStorage() {
  return fsStorage({ directory: mkdtempSync(path.join(tmpdir(), 'contract-')) })
}

const failures: string[] = []
for (const { name, run } of [...replaceChecks, ...readChecks, ...versionChecks, ...visibleChecks]) {
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
