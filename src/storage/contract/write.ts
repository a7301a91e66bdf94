/** The storage contract: what `write`, `truncate` and `read` do. */

import {
  ATOMIC,
  BEGUN,
  FINISHED,
  PERSIST,
  REPLACE,
  begin,
  bytes,
  check,
  equal,
  join,
  load,
  store,
  write,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/** The checks of this file. */
export const writeChecks: readonly StorageCheck[] = [
  check('tells that nothing is there', async (storage) => {
    equal(await storage.head('a'), null, 'head')
    equal(await storage.openReader('a'), null, 'openReader')
    equal(await storage.remove('a'), false, 'remove')
  }),

  check('creates nothing by opening a writer', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const writer = await storage.openWriter('a', options)
      equal(writer.base, null, 'base')
      equal(await load(storage, 'a'), null, 'the content beside an open writer')
      await writer.keep()
      equal(await load(storage, 'a'), null, 'the content after keep')
    }
  }),

  check('creates a resource with the first persist write', async (storage) => {
    const initial = { ...BEGUN, completeLength: 6, contentType: 'text/plain' }
    const writer = await storage.openWriter('a', { ...PERSIST, initial })
    await write(writer, 0, 'abc')
    if (writer.transaction === 'persist') {
      const info = await storage.head('a')
      equal(info?.size, 3, 'the size after the first write')
      equal([info?.completeLength, info?.contentType], [6, 'text/plain'], 'the initial state')
      equal(await load(storage, 'a'), 'abc', 'the content after the first write')
    }
    await writer.commit(initial)
    equal(await load(storage, 'a'), 'abc', 'the content after commit')
  }),

  check('creates an empty resource by commit alone', async (storage) => {
    for (const [key, options] of Object.entries({ a: PERSIST, b: ATOMIC, c: REPLACE })) {
      const begun = await (await storage.openWriter(key, options)).commit(BEGUN)
      equal([begun.size, begun.complete], [0, false], 'an empty incomplete resource')
      equal(await load(storage, key), '', 'the content of an empty incomplete resource')
      const finished = await (await storage.openWriter(key, options)).commit(FINISHED)
      equal([finished.size, finished.complete], [0, true], 'an empty finished resource')
      equal(await load(storage, key), '', 'the content of an empty finished resource')
    }
  }),

  check('stores a single byte', async (storage) => {
    await store(storage, 'a', 'x')
    equal(await load(storage, 'a'), 'x', 'the content')
  }),

  check('appends', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      await begin(storage, options.transaction, 'abc')
      const writer = await storage.openWriter(options.transaction, options)
      await write(writer, 3, 'de')
      await write(writer, 5, 'f')
      await writer.commit(BEGUN)
      equal(await load(storage, options.transaction), 'abcdef', `${options.transaction} content`)
    }
  }),

  check('appends to a finished resource', async (storage) => {
    await store(storage, 'a', 'abc')
    const writer = await storage.openWriter('a', ATOMIC)
    await write(writer, 3, 'def')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), 'abcdef', 'the content')
  }),

  check('writes over bytes and beyond the end at once', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      await begin(storage, options.transaction, 'abcd')
      const writer = await storage.openWriter(options.transaction, options)
      await write(writer, 2, 'XYZ')
      await write(writer, 0, 'W')
      await writer.commit(BEGUN)
      equal(await load(storage, options.transaction), 'WbXYZ', `${options.transaction} content`)
    }
  }),

  check('writes all chunks, empty ones among them', async (storage) => {
    for (const options of [PERSIST, ATOMIC]) {
      const writer = await storage.openWriter(options.transaction, options)
      await writer.write(0, ['', 'ab', '', 'c', ''].map(bytes))
      await writer.write(3, [])
      await writer.write(3, [bytes('')])
      await writer.write(
        3,
        Array.from({ length: 3000 }, () => bytes('de')),
      )
      await writer.commit(FINISHED)
      const text = `abc${'de'.repeat(3000)}`
      equal(await load(storage, options.transaction), text, `${options.transaction} content`)
    }
  }),

  check('does not keep the chunks that it is lent', async (storage) => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const writer = await storage.openWriter('a', options)
      const chunk = bytes('abc')
      await writer.write(0, [chunk])
      chunk.fill(0)
      await writer.commit(FINISHED)
      equal(await load(storage, 'a'), 'abc', 'the content')
      await storage.remove('a')
    }
  }),

  check('stores megabytes in many writes', async (storage) => {
    const writer = await storage.openWriter('a', PERSIST)
    const chunk = bytes('0123456789abcdef'.repeat(4096))
    for (let count = 0; count < 64; count += 1) await writer.write(count * chunk.length, [chunk])
    const info = await writer.commit(FINISHED)
    equal(info.size, 64 * chunk.length, 'the size')
    equal((await load(storage, 'a'))?.length, info.size, 'the length of the content')
  }),

  check('reads zeros in the gap of an atomic write', async (storage) => {
    await store(storage, 'other', 'secret'.repeat(1000))
    await storage.remove('other')
    await store(storage, 'finished', 'abc')
    await begin(storage, 'begun', 'abc')
    for (const key of ['finished', 'begun', 'absent']) {
      const writer = await storage.openWriter(key, ATOMIC)
      const start = writer.base === null ? '' : 'abc'
      await write(writer, 3000, 'end')
      const expected = `${start.padEnd(3000, '\0')}end`
      equal(await join(writer.read(0, 3003)), expected, `what the writer of ${key} reads`)
      await writer.commit(FINISHED)
      equal(await load(storage, key), expected, `the content of ${key}`)
    }
  }),

  check('reads zeros where an atomic write has cut before', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    const writer = await storage.openWriter('a', ATOMIC)
    await write(writer, 6, 'secret')
    await writer.truncate(7)
    await write(writer, 9, 'x')
    await writer.truncate(2)
    await write(writer, 4, 'y')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), 'ab\0\0y', 'the content')
  }),

  check('replaces a resource', async (storage) => {
    await begin(storage, 'begun', 'abcdef')
    await store(storage, 'finished', 'abcdef')
    for (const key of ['begun', 'finished', 'absent']) {
      const before = await storage.head(key)
      const writer = await storage.openWriter(key, { ...REPLACE, transaction: 'persist' })
      equal(writer.base, before, `the base for ${key}`)
      if (before !== null) equal(writer.transaction, 'atomic', `how ${key} is replaced`)
      await write(writer, 0, 'xy')
      await writer.commit(FINISHED)
      equal(await load(storage, key), 'xy', `the content of ${key}`)
    }
  }),

  check('replaces a finished resource by an incomplete one, and that again', async (storage) => {
    await store(storage, 'a', 'abcdef')
    const first = await storage.openWriter('a', REPLACE)
    await write(first, 0, 'xy')
    await first.commit({ ...BEGUN, everComplete: true })
    equal(await load(storage, 'a'), 'xy', 'the content of the incomplete resource')
    const second = await storage.openWriter('a', REPLACE)
    await second.commit(BEGUN)
    equal(await load(storage, 'a'), '', 'the content of the empty resource')
  }),

  check('reopens a finished resource', async (storage) => {
    await store(storage, 'a', 'abc')
    const reopening = await storage.openWriter('a', PERSIST)
    equal(reopening.transaction, 'atomic', 'the transaction on a finished resource')
    await reopening.commit({ ...BEGUN, everComplete: true, completeLength: 6 })
    const info = await storage.head('a')
    equal([info?.complete, info?.everComplete, info?.size], [false, true, 3], 'the reopened one')
    const writer = await storage.openWriter('a', PERSIST)
    await write(writer, 3, 'def')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), 'abcdef', 'the content')
  }),

  check('truncates', async (storage) => {
    await store(storage, 'a', 'abcdef')
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.truncate(4)
    equal(await join(writer.read(0, 4)), 'abcd', 'what the writer reads')
    await writer.truncate(4)
    await writer.truncate(0)
    await write(writer, 0, 'x')
    await writer.commit(FINISHED)
    equal(await load(storage, 'a'), 'x', 'the content')
  }),

  check('reads as the write has left it so far', async (storage) => {
    await begin(storage, 'a', 'abcdef')
    for (const options of [ATOMIC, PERSIST]) {
      const writer = await storage.openWriter('a', options)
      equal(await join(writer.read(1, 3)), 'bc', 'what is read before the write')
      await write(writer, 6, 'gh')
      equal(await join(writer.read(4, 8)), 'efgh', 'what is read after an append')
      await write(writer, 2, 'XY')
      equal(await join(writer.read(0, 8)), 'abXYefgh', 'what is read after an overwrite')
      equal(await join(writer.read(3, 3)), '', 'what is read from an empty range')
      await writer.rollback()
    }
  }),
]
