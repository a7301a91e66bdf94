/** The storage contract: two keys are two resources, or the storage refuses one of them. */

import type { StorageAdapter } from '../adapter.ts'
import {
  ContractError,
  ATOMIC,
  FINISHED,
  begin,
  check,
  codeOf,
  equal,
  load,
  rejection,
  store,
} from './check.ts'
import type { StorageCheck } from './check.ts'

/**
 * Keys that a storage may confuse, for example because its file system ignores case. It may refuse
 * some of them, but must not treat two of them as the same resource.
 */
const KEYS: readonly string[] = [
  'plain',
  'plain.txt',
  'PLAIN',
  'Plain.txt',
  'a b',
  ' a',
  'a ',
  'a.',
  '.a',
  '..a',
  'a%20b',
  'a%2Fb',
  'a+b',
  '100%',
  'a?b',
  'a#b',
  'a:b',
  'a*b',
  "a'b",
  'a"b',
  'a<b>',
  'a|b',
  '$HOME',
  '~',
  '-rf',
  'ä',
  'a\u0308',
  '日本語.txt',
  '🙂',
  'nested/a',
  'nested/b',
  'nested/deeper/a',
  'other/a',
  'nested_a',
  'nested-a',
  'nested.a',
  'plain.tmp',
  'plain.part',
  'plain.json',
  'plain.meta',
  'plain.lock',
  'plain~',
  '.plain',
  'plain-1',
  'plain/1',
  'x'.repeat(200),
  `${'x'.repeat(199)}y`,
  `${'x'.repeat(200)}y`,
  `y${'x'.repeat(199)}`,
  `${'long/'.repeat(100)}a`,
  `${'long/'.repeat(100)}b`,
  `${'deep-and-long/'.repeat(60)}a`,
  `${'deep-and-long/'.repeat(60)}A`,
  '0',
  '00',
  'null',
  'undefined',
  'toString',
  '__proto__',
  'constructor',
]

/** The checks of keys, a part of `storageContract`. */
export const keyChecks: readonly StorageCheck[] = [
  // Two keys are two resources. A storage that cuts long names, ignores case or joins Unicode forms
  // must map keys to safe names, or refuse the second one with `ERR_KEY_CONFLICT`. Otherwise
  // `Photo.jpg` replaces `photo.jpg`, or one user reads the file of another. Of the keys here, the
  // storage must accept at least `plain`.
  check('keeps keys apart, those that differ only late or in case among them', async (storage) => {
    for (const fill of [store, begin]) {
      const stored = await fillAll(storage, fill)
      if (!stored.includes('plain'))
        throw new ContractError('the key "plain": found a refusal, expected none')
      await expectContents(storage, stored)
      for (const [index, key] of stored.entries()) {
        equal(await storage.remove(key), true, `remove of ${key}`)
        await expectContents(storage, stored.slice(index + 1, index + 2))
      }
      for (const key of stored) {
        equal(await storage.head(key), null, `the version of ${key} after its removal`)
      }
    }
  }),

  // A storage that lists or removes by a prefix must not touch the files of other keys, and a key
  // that is only the folder of others is not a resource. A DELETE of `a` would otherwise remove
  // `ab`, or all files below `a/`.
  check('removes a resource and none whose key begins or ends like it', async (storage) => {
    const keys = ['a', 'ab', 'a.b', 'a-b', 'ba', 'c/a', 'c/ab', 'c/a.b', 'd/c/a', 'b']
    for (const fill of [store, begin]) {
      for (const key of keys) await fill(storage, key, `content of ${key}`)
      for (const removed of ['a', 'c/a', 'ab', 'c/ab']) {
        equal(await storage.remove(removed), true, `remove of ${removed}`)
        for (const key of keys) {
          const expected = key === removed ? null : `content of ${key}`
          equal(await load(storage, key), expected, `the content of ${key} without ${removed}`)
        }
        // Store the removed key again, because each removal begins with all keys.
        await fill(storage, removed, `content of ${removed}`)
      }
      // None of these is a resource, although some are the beginning of the key of one.
      for (const key of ['c', 'd', 'd/c', 'c/a/x', 'nothing']) {
        const found = await storage.remove(key).catch((error: unknown) => codeOf(error))
        if (found !== 'ERR_KEY_CONFLICT') equal(found, false, `remove of ${key}, which is absent`)
        equal(await load(storage, key), null, `the content of ${key}, which is absent`)
      }
      equal(await load(storage, 'd/c/a'), 'content of d/c/a', 'd/c/a after removals above it')
    }
  }),

  // Uploads and finished files may lie in different places of the storage. A removal in one place
  // must not reach a resource of another key in the other.
  check('keeps resources in progress apart from finished ones', async (storage) => {
    await begin(storage, 'a', 'begun')
    await store(storage, 'b', 'finished')
    equal(await storage.remove('b'), true, 'remove')
    equal(await load(storage, 'a'), 'begun', 'the content of a')
  }),

  // Some of these keys would lead out of the directory of a file store. A storage may accept them
  // all if it treats them as plain names. A key that it refuses must be refused by each method,
  // with `ERR_KEY`, which the server answers with 400. With another error the client gets a 500,
  // and a method without the check may read a file that is not an upload.
  check('refuses a key in the same way everywhere', async (storage) => {
    for (const key of ['', '/', 'a//b', '/a', 'a/', '.', '..', '../a', 'a/../b', 'a\0b', 'a\\b']) {
      if (await accepts(storage, key)) continue
      equal(await rejection(storage.head(key), 'head'), 'ERR_KEY', 'the error of head')
      equal(await rejection(storage.openReader(key), 'open'), 'ERR_KEY', 'that of openReader')
      equal(await rejection(storage.remove(key), 'remove'), 'ERR_KEY', 'that of remove')
    }
  }),

  // A file system can't store both `a` and `a/b`, because `a` would be a file and a directory; an
  // object store can. A storage must do one of two things: store both, or reject with
  // `ERR_KEY_CONFLICT`, which the server answers with 409. In neither case may the first resource
  // change.
  check('stores a key below another one, or refuses it as a conflict', async (storage) => {
    for (const [first, second] of [
      ['a', 'a/b'],
      ['b/c/d', 'b'],
      ['b/c/e', 'b/c'],
    ] as const) {
      await store(storage, first, 'first')
      const refused = await store(storage, second, 'second').catch((error: unknown) => error)
      equal(await load(storage, first), 'first', `the content of ${first}`)
      if (refused === undefined) {
        equal(await load(storage, second), 'second', `the content of ${second}`)
      } else {
        equal(codeOf(refused), 'ERR_KEY_CONFLICT', 'the error')
        equal(await load(storage, second), null, `the content of ${second}`)
      }
    }
  }),

  // Two requests for `a` and `a/b` have different locks, so that `a/b` may be created after the
  // writer of `a` was opened. The commit of `a` must find that out, and must not replace a
  // directory with files in it. Either both are stored, or the commit rejects with
  // `ERR_KEY_CONFLICT` and `a` stays absent.
  check('refuses at the commit what has become a conflict meanwhile', async (storage) => {
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.write(0, [new Uint8Array(3)])
    await store(storage, 'a/b', 'below')
    const state = { ...FINISHED, completeLength: 3 }
    const refused = await writer.commit(state).catch((error: unknown) => error)
    if (refused instanceof Error) {
      equal(codeOf(refused), 'ERR_KEY_CONFLICT', 'the error')
      await writer.rollback()
      equal(await load(storage, 'a'), null, 'the content of a')
    }
    equal(await load(storage, 'a/b'), 'below', 'the content of a/b')
  }),

  // `remove` must return true if it has removed a resource, and false if none existed. The protocol
  // answers 204 or 404 by it. A storage that always returns true makes the server report to two
  // clients at the same time that each of them has removed the file.
  check('removes a resource once', async (storage) => {
    for (const fill of [begin, store]) {
      await fill(storage, 'a', 'abc')
      equal(await storage.remove('a'), true, 'the first remove')
      equal(await storage.remove('a'), false, 'the second remove')
      equal(await load(storage, 'a'), null, 'the content')
    }
  }),
]

/**
 * Stores a resource under each of `KEYS`, as far as the storage accepts them, and returns the keys.
 */
async function fillAll(storage: StorageAdapter, fill: typeof store): Promise<readonly string[]> {
  const isStored = async (key: string): Promise<boolean> => {
    if (!(await accepts(storage, key))) return false
    try {
      await fill(storage, key, `content of ${key}`)
      return true
    } catch (error) {
      equal(codeOf(error), 'ERR_KEY_CONFLICT', `the error for the key ${key}`)
      return false
    }
  }
  const [first = '', ...others] = KEYS
  // The first key must be accepted, and is stored before any other can conflict with it. The others
  // are stored at the same time, because requests for different resources are concurrent too.
  const outcomes = [await isStored(first), ...(await Promise.all(others.map(isStored)))]
  return KEYS.filter((_, index) => outcomes[index])
}

async function expectContents(storage: StorageAdapter, keys: readonly string[]): Promise<void> {
  const expectContent = async (key: string): Promise<void> =>
    equal(await load(storage, key), `content of ${key}`, `the content of ${key}`)
  await Promise.all(keys.map(expectContent))
}

/**
 * Returns whether the storage accepts a key. It may refuse the key itself, or because of other
 * keys: a file can't also be a directory.
 */
async function accepts(storage: StorageAdapter, key: string): Promise<boolean> {
  try {
    const writer = await storage.openWriter(key, ATOMIC)
    await writer.rollback()
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'ERR_KEY_CONFLICT') equal(code, 'ERR_KEY', 'the error of openWriter')
    return false
  }
}
