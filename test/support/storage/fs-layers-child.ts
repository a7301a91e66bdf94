/** Patches a file five times by layers, prints a line, and then waits to be killed. */
import { ATOMIC, FINISHED } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const [directory = ''] = process.argv.slice(2)
const storage = fsStorage({ directory, patch: 'layers', layersAbove: 0 })

async function patch(position: number, bytes: string): Promise<void> {
  const writer = await storage.openWriter('a', ATOMIC)
  await writer.write(position, [Buffer.from(bytes)])
  await writer.commit(FINISHED)
}

await patch(0, '0123456789')
for (let position = 0; position < 5; position += 1) await patch(position, 'x')
process.stdout.write('patched\n')
setInterval(() => {}, 1000)
