/**
 * The storage contract: storages whose `write` resolves before readers can see the bytes, and that
 * have `flush` for this reason.
 */

import {
  PERSIST,
  begin,
  check,
  equal,
  flush,
  load,
  loadBytes,
  openPersist,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** The checks of storages with `flush`, a part of `storageContract`. */
export const behindChecks: readonly StorageCheck[] = [
  // A storage may keep new bytes in another place than those of the base, for example an overwrite
  // in a copy and an append in the file. `flush` must publish one version that has all of them. If
  // a flush of one place dropped the bytes of the other, HEAD would report fewer bytes than before,
  // and a client that resumes from there would send bytes that the server has, or find a gap that
  // it can't fill.
  check('never shows fewer bytes after a flush', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    const writer = await openPersist(storage, 'a')
    if (writer === null) return
    await write(writer, 6, 'g')
    await flush(writer)
    equal((await storage.head('a'))?.size, 7, 'the size after an append')
    await write(writer, 1, 'X')
    await flush(writer)
    equal((await storage.head('a'))?.size, 7, 'the size after an overwrite')
    await write(writer, 7, 'h')
    await flush(writer)
    await flush(writer)
    equal(await loadBytes(storage, 'a'), 'aXcdefgh', 'the content after all flushes')
    await writer.keep()
    equal(await load(storage, 'a'), 'aXcdefgh', 'the content after keep')
  }),

  // A digest may turn out to be wrong only at the end of a segment, after HEAD has reported its
  // flushed bytes as received. `rollback` must therefore take back flushed bytes as well as those
  // in memory, on every server that shares the storage. Bytes that stay would count as received,
  // and the client would never send the right ones.
  check('undoes bytes that were flushed on rollback', async (storage) => {
    await begin(storage, 'a', 'abc')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 3, 'def')
    await flush(writer)
    await write(writer, 6, 'ghi')
    await writer.rollback()
    equal(await load(storage, 'a'), 'abc', 'the content after rollback')
  }),
]
