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
  // The storage may keep new bytes in another place than those of the base. A flush of one place
  // must not drop the bytes of the other from the version that readers see.
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

  // HEAD has reported the flushed bytes as received. The rollback must take them back on every
  // server.
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
