/** Patches a file five times by layers, prints a line, and then waits to be killed. */
import { fsStorage } from '../../../src/storage/fs.ts'
import type { ResourceState } from '../../../src/storage/adapter.ts'

const [directory = ''] = process.argv.slice(2)
const storage = fsStorage({ directory, patch: 'layers', layersAbove: 0 })
const state: ResourceState = {
  complete: true,
  everComplete: true,
  completeLength: null,
  contentType: null,
  contentDisposition: null,
  reprDigest: null,
  owner: null,
}
const initial = { ...state, complete: false, everComplete: false }

async function patch(position: number, bytes: string): Promise<void> {
  const writer = await storage.openWriter('a', { transaction: 'atomic', replace: false, initial })
  await writer.write(position, [Buffer.from(bytes)])
  await writer.commit(state)
}

await patch(0, '0123456789')
for (let position = 0; position < 5; position += 1) await patch(position, 'x')
process.stdout.write('patched\n')
setInterval(() => {}, 1000)
