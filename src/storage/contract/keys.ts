/** The storage contract: keys. */

import type { StorageAdapter } from '../adapter.ts'
import { ATOMIC, begin, check, codeOf, equal, load, rejection, store } from './check.ts'
import type { StorageCheck } from './check.ts'

/** A storage may refuse some of them, but must not take one for another. */
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
  'x'.repeat(200),
  '__proto__',
  'constructor',
]

/** The checks of this file. */
export const keyChecks: readonly StorageCheck[] = [
  check('tells keys apart, those that differ only in case among them', async (storage) => {
    const accepted: string[] = []
    for (const key of KEYS) {
      if (await accepts(storage, key)) accepted.push(key)
      else continue
      await store(storage, key, `content of ${key}`)
    }
    if (!accepted.includes('plain')) throw new Error('the key "plain" is refused')
    for (const key of accepted) {
      equal(await load(storage, key), `content of ${key}`, `the content of ${key}`)
    }
    for (const key of accepted) equal(await storage.remove(key), true, `remove of ${key}`)
    for (const key of accepted) equal(await load(storage, key), null, `the content of ${key}`)
  }),

  check('keeps resources in progress apart from finished ones', async (storage) => {
    await begin(storage, 'a', 'begun')
    await store(storage, 'b', 'finished')
    equal(await storage.remove('b'), true, 'remove')
    equal(await load(storage, 'a'), 'begun', 'the content of a')
  }),

  check('refuses a key in the same way everywhere', async (storage) => {
    for (const key of ['', '/', 'a//b', '/a', 'a/', '.', '..', '../a', 'a/../b', 'a\0b', 'a\\b']) {
      if (await accepts(storage, key)) continue
      equal(await rejection(storage.head(key), 'head'), 'ERR_KEY', 'the error of head')
      equal(await rejection(storage.openReader(key), 'open'), 'ERR_KEY', 'that of openReader')
      equal(await rejection(storage.remove(key), 'remove'), 'ERR_KEY', 'that of remove')
    }
  }),

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

  check('refuses at the commit what has become a conflict meanwhile', async (storage) => {
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.write(0, [new Uint8Array(3)])
    await store(storage, 'a/b', 'below')
    const state = { complete: true, everComplete: true, completeLength: 3 }
    const refused = await writer
      .commit({
        ...state,
        contentType: null,
        contentDisposition: null,
        reprDigest: null,
        owner: null,
      })
      .catch((error: unknown) => error)
    if (refused instanceof Error) {
      equal(codeOf(refused), 'ERR_KEY_CONFLICT', 'the error')
      await writer.rollback()
      equal(await load(storage, 'a'), null, 'the content of a')
    }
    equal(await load(storage, 'a/b'), 'below', 'the content of a/b')
  }),

  check('removes a resource once', async (storage) => {
    for (const fill of [begin, store]) {
      await fill(storage, 'a', 'abc')
      equal(await storage.remove('a'), true, 'the first remove')
      equal(await storage.remove('a'), false, 'the second remove')
      equal(await load(storage, 'a'), null, 'the content')
    }
  }),
]

async function accepts(storage: StorageAdapter, key: string): Promise<boolean> {
  try {
    const writer = await storage.openWriter(key, ATOMIC)
    await writer.rollback()
    return true
  } catch (error) {
    equal(codeOf(error), 'ERR_KEY', 'the error of openWriter')
    return false
  }
}
