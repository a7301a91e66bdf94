/**
 * Stages a file for a resource, prints a line, and waits until the test kills it or lets it finish
 * the file.
 */
import { FINISHED, REPLACE } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const [, , directory = ''] = process.argv
const writer = await fsStorage({ directory }).openWriter('a', REPLACE)
await writer.write(0, [Buffer.from('abc')])
process.send?.('staged')
process.once('message', () => {
  void writer.commit({ ...FINISHED, completeLength: 3 }).then(() => process.send?.('committed'))
})
