/** Changes the last byte of the finished resource `a`, as a user that does not own everything. */
import { ATOMIC, FINISHED } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const [, , directory = ''] = process.argv
const writer = await fsStorage({ directory }).openWriter('a', ATOMIC)
await writer.write(2, [Buffer.from('X')])
await writer.commit({ ...FINISHED, completeLength: 3 })
