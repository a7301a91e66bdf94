/** Stages a file for a resource, prints a line, and waits until the test kills it or lets it finish the file. */
import { fsStorage } from '../../../src/storage/fs.ts'

const STATE = {
  complete: true,
  everComplete: true,
  completeLength: 3,
  contentType: null,
  contentDisposition: null,
  reprDigest: null,
  owner: null,
}

const [, , directory = ''] = process.argv
const writer = await fsStorage({ directory }).openWriter('a', {
  transaction: 'atomic',
  replace: true,
  initial: STATE,
})
await writer.write(0, [Buffer.from('abc')])
process.send?.('staged')
process.once('message', () => {
  void writer.commit(STATE).then(() => process.send?.('committed'))
})
