/** Changes the last byte of the finished resource `a`, as a user that does not own everything. */
import { fsStorage } from '../../../src/storage/fs.ts'

const [, , directory = ''] = process.argv
const state = {
  complete: true,
  everComplete: true,
  completeLength: 3,
  contentType: null,
  contentDisposition: null,
  reprDigest: null,
  owner: null,
}
const writer = await fsStorage({ directory }).openWriter('a', {
  transaction: 'atomic',
  replace: false,
  initial: state,
})
await writer.write(2, [Buffer.from('X')])
await writer.commit(state)
