import { execFileSync } from 'node:child_process'
import {
  link,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { readdirSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import type { OpenWriterOptions, ResourceState, StorageAdapter } from '../../src/storage/adapter.ts'
import { BEGUN as UNTYPED } from '../../src/storage/contract/check.ts'
import { fsStorage } from '../../src/storage/fs.ts'
import { FileReader, errorCode, reportFull } from '../../src/storage/fs/io.ts'

const BEGUN: ResourceState = { ...UNTYPED, contentType: 'text/plain' }
const FINISHED: ResourceState = { ...BEGUN, complete: true, everComplete: true }
const PERSIST: OpenWriterOptions = { transaction: 'persist', replace: false, initial: BEGUN }
const ATOMIC: OpenWriterOptions = { ...PERSIST, transaction: 'atomic' }
const REPLACE: OpenWriterOptions = { ...ATOMIC, replace: true }
const TWO_HOURS_AGO = new Date(Date.now() - 7_200_000)

let parent: string
let directory: string
let hidden: string
let storage: StorageAdapter

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'partial-upload-'))
  directory = path.join(parent, 'uploads')
  hidden = path.join(directory, '.partial-upload')
  storage = fsStorage({ directory })
})

afterEach(async () => {
  await rm(parent, { recursive: true })
})

const at = (...names: string[]) => path.join(directory, ...names)

async function change(
  key: string,
  options: OpenWriterOptions,
  bytes: string,
  state: ResourceState,
) {
  const writer = await storage.openWriter(key, options)
  await writer.write(options.replace ? 0 : (writer.base?.size ?? 0), [Buffer.from(bytes)])
  return writer.commit(state)
}

async function load(key: string, from = storage): Promise<string | null> {
  const reader = await from.openReader(key)
  const stored = reader && (await text(reader.read(0, reader.info.size)))
  await reader?.close()
  return stored
}

/** Makes a storage that shares only the files with the others, as in another process. */
async function elsewhere(): Promise<StorageAdapter> {
  vi.resetModules()
  const module = await import('../../src/storage/fs.ts')
  return module.fsStorage({ directory })
}

/** Returns the names in the staging directory with this ending. */
async function hiddenNames(end: '.json' | '.data' | '.tmp'): Promise<string[]> {
  return (await readdir(hidden)).filter((name) => name.endsWith(end))
}

interface Stored {
  readonly data: string
  readonly pinnedSize: number | null
}

async function readRecord(): Promise<Stored> {
  const [name = ''] = await hiddenNames('.json')
  return JSON.parse(await readFile(path.join(hidden, name), 'utf8')) as Stored
}

async function dataPath(): Promise<string> {
  return path.join(hidden, (await readRecord()).data)
}

describe('options', () => {
  test.each([
    [{ directory: '' }, 'directory must be a path, not ""'],
    [{ directory: 7 }, 'directory must be a path, not 7'],
    [{}, 'directory must be a path, not undefined'],
    [{ directory: 'a\0b' }, String.raw`directory must be a path, not "a\u0000b"`],
    [
      { directory: 'a', fsync: 'always' },
      'fsync must be one of complete, segment, never, not "always"',
    ],
  ])('%j is refused', (options, message) => {
    expect(() => fsStorage(options as never)).toThrow(new TypeError(message))
  })

  test('a directory that can not be created is tried again', async () => {
    await writeFile(directory, 'a file')
    await expect(storage.head('a')).rejects.toMatchObject({ code: 'EEXIST' })
    await unlink(directory)

    expect(await storage.head('a')).toBeNull()
  })
})

describe('the directory', () => {
  test('has a finished resource at its key, and its record in the staging directory', async () => {
    await change('reports/2026/may.txt', PERSIST, 'abc', FINISHED)

    expect(await readFile(at('reports/2026/may.txt'), 'utf8')).toBe('abc')
    expect(await readdir(directory)).toEqual(['.partial-upload', 'reports'])
    expect(await readdir(hidden)).toEqual(await hiddenNames('.json'))
  })

  test('has nothing of an upload in progress outside of the staging directory', async () => {
    await change('reports/may.txt', PERSIST, 'abc', BEGUN)

    expect(await readdir(directory)).toEqual(['.partial-upload'])
    expect(await hiddenNames('.data')).toHaveLength(1)
    expect((await stat(hidden)).mode & 0o777).toBe(0o700)
  })

  test('gets the uploaded file itself, not a copy', async () => {
    await change('a', PERSIST, 'abc', BEGUN)
    const { ino } = await stat(await dataPath())
    await change('a', PERSIST, 'def', FINISHED)

    expect((await stat(at('a'))).ino).toBe(ino)
  })

  test('loses the parents with the last resource below them', async () => {
    await change('x/y/a', PERSIST, 'abc', FINISHED)
    await change('x/b', PERSIST, 'abc', FINISHED)
    await storage.remove('x/y/a')
    expect(await readdir(at('x'))).toEqual(['b'])
    await storage.remove('x/b')

    expect(await readdir(directory)).toEqual(['.partial-upload'])
    expect(await readdir(hidden)).toEqual([])
  })

  test('has no trace of writes that were rolled back', async () => {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const writer = await storage.openWriter('x/a', options)
      await writer.write(0, [Buffer.from('abc')])
      await writer.rollback()
    }

    expect(await readdir(directory)).toEqual(['.partial-upload'])
    expect(await readdir(hidden)).toEqual([])
  })

  test('has one data file per upload, even after replacements and patches', async () => {
    await change('a', PERSIST, 'abc', BEGUN)
    await change('a', REPLACE, 'def', BEGUN)
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.write(3, [Buffer.from('ghi')])
    await writer.write(0, [Buffer.from('X')])
    await writer.commit(BEGUN)
    expect(await readdir(hidden)).toHaveLength(2)
    await change('a', REPLACE, 'jkl', FINISHED)

    expect(await readdir(hidden)).toHaveLength(1)
    expect(await load('a')).toBe('jkl')
  })

  test('loses the file of a finished resource that is opened again', async () => {
    await change('x/a', PERSIST, 'abc', FINISHED)
    await change('x/a', ATOMIC, 'def', { ...BEGUN, everComplete: true })

    expect(await readdir(directory)).toEqual(['.partial-upload'])
    expect(await load('x/a')).toBe('abcdef')
  })

  test('keeps a finished file in its place when only its state changes', async () => {
    await change('a', PERSIST, 'abc', FINISHED)
    const { ino } = await stat(at('a'))
    const before = await storage.head('a')
    const writer = await storage.openWriter('a', ATOMIC)
    const after = await writer.commit({ ...FINISHED, contentType: 'text/html' })

    expect((await stat(at('a'))).ino).toBe(ino)
    expect(after.etag).not.toBe(before?.etag)
    expect(await storage.head('a')).toEqual(after)
  })

  test('keeps the etag of a finished resource that a commit does not change', async () => {
    const before = await change('a', PERSIST, 'abc', FINISHED)
    const writer = await storage.openWriter('a', ATOMIC)

    expect(await writer.commit(FINISHED)).toEqual(before)
  })
})

describe('a key', () => {
  test.each([
    ['', 'the path has an empty segment'],
    ['a//b', 'the path has an empty segment'],
    ['/etc/passwd', 'the path has an empty segment'],
    ['a/', 'the path has an empty segment'],
    ['.', 'the path has a dot segment'],
    ['..', 'the path has a dot segment'],
    ['../a', 'the path has a dot segment'],
    ['a/../../b', 'the path has a dot segment'],
    ['a\0b', 'the path has a control character, a backslash or a broken surrogate pair'],
    ['a\nb', 'the path has a control character, a backslash or a broken surrogate pair'],
    ['a\x7fb', 'the path has a control character, a backslash or a broken surrogate pair'],
    ['..\\a', 'the path has a control character, a backslash or a broken surrogate pair'],
    ['a\ud800b', 'the path has a control character, a backslash or a broken surrogate pair'],
    ['.partial-upload', 'the path is reserved'],
    ['.partial-upload/a.json', 'the path is reserved'],
    ['.Partial-UPLOAD/a.json', 'the path is reserved'],
    ['ä'.repeat(128), 'a segment of the path exceeds 255 bytes'],
    [`${'ab/'.repeat(350)}c`, 'the path exceeds 1024 bytes'],
  ])('%j is refused', async (key, detail) => {
    const error = { code: 'ERR_KEY', status: 400, message: detail }

    await expect(storage.head(key)).rejects.toMatchObject(error)
    await expect(storage.openReader(key)).rejects.toMatchObject(error)
    await expect(storage.openWriter(key, ATOMIC)).rejects.toMatchObject(error)
    await expect(storage.remove(key)).rejects.toMatchObject(error)
  })

  test.each(['x'.repeat(255), '.hidden', 'a/.partial-upload', '...', 'a..b', ' '])(
    '%j is stored',
    async (key) => {
      await change(key, PERSIST, 'abc', FINISHED)

      expect(await readFile(at(key), 'utf8')).toBe('abc')
    },
  )
})

describe('a name that is taken', () => {
  const conflict = { code: 'ERR_KEY_CONFLICT', status: 409 }

  test('by a directory', async () => {
    await change('a/b', PERSIST, 'abc', FINISHED)

    await expect(storage.openWriter('a', ATOMIC)).rejects.toMatchObject(conflict)
    expect(await storage.head('a')).toBeNull()
    expect(await storage.remove('a')).toBe(false)
  })

  test('by a file among the parents', async () => {
    await change('a', PERSIST, 'abc', FINISHED)

    await expect(storage.openWriter('a/b', ATOMIC)).rejects.toMatchObject(conflict)
    await expect(storage.openWriter('a/b/c', ATOMIC)).rejects.toMatchObject(conflict)
    expect(await storage.head('a/b')).toBeNull()
    expect(await storage.remove('a/b')).toBe(false)
  })

  test.each(['x', 'x/y'])('by the upload %s, which is not finished', async (key) => {
    await change(key, PERSIST, 'abc', BEGUN)

    await expect(storage.openWriter('x/y/z', PERSIST)).rejects.toMatchObject(conflict)
    await expect(storage.openWriter('x/y/z', REPLACE)).rejects.toMatchObject(conflict)
    expect(await storage.head('x/y/z')).toBeNull()
    expect(await storage.remove('x/y/z')).toBe(false)
    await storage.remove(key)
    await change('x/y/z', PERSIST, 'abc', FINISHED)
  })

  test('by an upload, but not for an upload below it that was begun before', async () => {
    await change('a/b', PERSIST, 'abc', BEGUN)
    await change('a', PERSIST, 'abc', BEGUN)

    await change('a/b', PERSIST, 'def', FINISHED)

    expect(await load('a/b')).toBe('abcdef')
    expect(await load('a')).toBe('abc')
  })

  test.each(['a', 'a/b', 'a/b/c'])('meanwhile, by %s', async (other) => {
    const key = other === 'a' ? 'a/b/c' : 'a'
    const writer = await storage.openWriter(key, PERSIST)
    await change(other, PERSIST, 'other', FINISHED)
    await writer.write(0, [Buffer.from('abc')])

    await expect(writer.commit(FINISHED)).rejects.toMatchObject(conflict)
    await writer.keep()
    expect(await load(key)).toBe('abc')
    expect(await storage.head(key)).toMatchObject({ complete: false, size: 3 })
    expect(await load(other)).toBe('other')
    await storage.remove(other)
    await change(key, PERSIST, 'def', FINISHED)
    expect(await readFile(at(key), 'utf8')).toBe('abcdef')
  })
})

describe('a symbolic link', () => {
  beforeEach(async () => {
    await storage.head('a')
    await mkdir(path.join(parent, 'outside'))
    await writeFile(path.join(parent, 'outside/file'), 'secret')
  })

  test('to a file is not a resource', async () => {
    await symlink('../outside/file', at('a'))

    expect(await storage.head('a')).toBeNull()
    expect(await storage.openReader('a')).toBeNull()
    expect(await storage.remove('a')).toBe(false)
    await expect(storage.openWriter('a', ATOMIC)).rejects.toMatchObject({
      code: 'ERR_KEY_CONFLICT',
    })
  })

  test('among the parents is not followed', async () => {
    await symlink('../outside', at('x'))
    await mkdir(path.join(parent, 'outside/deep'))
    await writeFile(path.join(parent, 'outside/deep/file'), 'secret')

    for (const key of ['x/file', 'x/deep/file', 'x/new']) {
      expect(await storage.head(key)).toBeNull()
      expect(await storage.openReader(key)).toBeNull()
      expect(await storage.remove(key)).toBe(false)
      await expect(storage.openWriter(key, ATOMIC)).rejects.toMatchObject({
        code: 'ERR_KEY_CONFLICT',
      })
    }
    const writer = await storage.openWriter('x/new/deeper', ATOMIC)
    await expect(writer.commit(FINISHED)).rejects.toMatchObject({ code: 'ERR_KEY_CONFLICT' })
    await writer.rollback()
    expect(await readdir(path.join(parent, 'outside'))).toEqual(['deep', 'file'])
  })

  test('that appears during an upload is not followed', async () => {
    const writer = await storage.openWriter('x/file', PERSIST)
    await writer.write(0, [Buffer.from('abc')])
    await symlink('../outside', at('x'))

    await expect(writer.commit(FINISHED)).rejects.toMatchObject({ code: 'ERR_KEY_CONFLICT' })
    await writer.rollback()
    expect(await readFile(path.join(parent, 'outside/file'), 'utf8')).toBe('secret')
  })

  test('that appears at the name itself during an upload is not replaced', async () => {
    const writer = await storage.openWriter('a', PERSIST)
    await writer.write(0, [Buffer.from('abc')])
    await symlink('../outside/file', at('a'))

    await expect(writer.commit(FINISHED)).rejects.toMatchObject({ code: 'ERR_KEY_CONFLICT' })
    await writer.rollback()
    expect((await lstat(at('a'))).isSymbolicLink()).toBe(true)
  })

  test('as the directory itself is followed', async () => {
    await symlink('uploads', path.join(parent, 'link'))
    const linked = fsStorage({ directory: path.join(parent, 'link') })
    await change('x/a', PERSIST, 'abc', FINISHED)

    expect(await load('x/a', linked)).toBe('abc')
  })
})

describe('a file that another program', () => {
  test('creates is a finished resource', async () => {
    await storage.head('a')
    await writeFile(at('a'), 'abc')
    const info = await storage.head('a')

    expect(info).toEqual({
      ...FINISHED,
      contentType: null,
      completeLength: 3,
      size: 3,
      etag: info?.etag,
      lastModified: info?.lastModified,
    })
    // Node rounds the time of a file to whole milliseconds, and the store returns no time in the
    // future.
    const { mtimeMs } = await stat(at('a'))
    expect(Math.abs(Number(info?.lastModified) - mtimeMs)).toBeLessThan(2)
    expect(await load('a')).toBe('abc')
    await change('a', ATOMIC, 'def', FINISHED)
    expect(await load('a')).toBe('abcdef')
    expect(await storage.remove('a')).toBe(true)
    expect(await storage.head('a')).toBeNull()
  })

  test('changes is another version without a stored type', async () => {
    const before = await change('a', PERSIST, 'abc', FINISHED)
    await writeFile(at('a'), 'xyz')
    const after = await storage.head('a')
    await writeFile(at('a'), 'XYZ')

    expect(after).toMatchObject({ complete: true, contentType: null, size: 3 })
    expect(after?.etag).not.toBe(before.etag)
    expect((await storage.head('a'))?.etag).not.toBe(after?.etag)
    expect(await load('a')).toBe('XYZ')
  })

  test('changes during a write makes the commit fail', async () => {
    await change('a', PERSIST, 'abc', FINISHED)
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.write(0, [Buffer.from('X')])
    await writeFile(at('a'), 'other')

    await expect(writer.commit(FINISHED)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    await writer.rollback()
    expect(await load('a')).toBe('other')
  })

  test('restores from a backup is the same version', async () => {
    const before = await change('a', PERSIST, 'abc', FINISHED)
    execFileSync('cp', ['-p', at('a'), at('backup')])
    await rename(at('backup'), at('a'))

    expect(await storage.head('a')).toEqual(before)
    expect(await load('a')).toBe('abc')
    await change('a', ATOMIC, 'def', FINISHED)
    expect(await load('a')).toBe('abcdef')
  })

  test('removes is absent, and can be uploaded again', async () => {
    await change('x/a', PERSIST, 'abc', FINISHED)
    await rename(at('x/a'), path.join(parent, 'taken'))

    expect(await storage.head('x/a')).toBeNull()
    expect(await storage.openReader('x/a')).toBeNull()
    expect(await storage.remove('x/a')).toBe(false)
    await change('x/a', PERSIST, 'def', FINISHED)
    expect(await load('x/a')).toBe('def')
  })

  test('dates into the future has no Last-Modified later than now', async () => {
    await change('a', PERSIST, 'abc', FINISHED)
    await utimes(at('a'), new Date('2100-01-01'), new Date('2100-01-01'))

    expect((await storage.head('a'))?.lastModified.getTime()).toBeLessThanOrEqual(Date.now())
  })

  test('creates where an upload was reopened is kept', async () => {
    await change('a', PERSIST, 'abc', FINISHED)
    await change('a', ATOMIC, 'd', { ...BEGUN, everComplete: true })
    await writeFile(at('a'), 'other')
    const writer = await storage.openWriter('a', PERSIST)
    await writer.rollback()

    expect(await readFile(at('a'), 'utf8')).toBe('other')
    expect(await load('a')).toBe('abcd')
  })
})

describe('a process that died', () => {
  /** Only the files of the process remain. */
  const restart = async () => {
    storage = await elsewhere()
  }
  const open = async (key: string) => {
    const writer = await storage.openWriter(key, PERSIST)
    await writer.rollback()
  }

  test('before the move of a finished file has finished it', async () => {
    const info = await change('x/a', PERSIST, 'abc', FINISHED)
    await rename(at('x/a'), await dataPath())
    await rm(at('x'), { recursive: true })
    await restart()

    expect(await storage.head('x/a')).toEqual(info)
    expect(await load('x/a')).toBe('abc')
    await open('x/a')
    expect(await readFile(at('x/a'), 'utf8')).toBe('abc')
    expect(await storage.head('x/a')).toEqual(info)
    expect(await hiddenNames('.data')).toEqual([])
  })

  test('before the move of a new version has replaced the old one', async () => {
    await change('a', PERSIST, 'old', FINISHED)
    await link(at('a'), at('old'))
    const info = await change('a', REPLACE, 'new', FINISHED)
    await rename(at('a'), await dataPath())
    await rename(at('old'), at('a'))
    await restart()

    expect(await storage.head('a')).toEqual(info)
    expect(await load('a')).toBe('new')
    await open('a')
    expect(await readFile(at('a'), 'utf8')).toBe('new')
  })

  test('before the move leaves a resource that can be removed', async () => {
    await change('a', PERSIST, 'old', FINISHED)
    await link(at('a'), at('old'))
    await change('a', REPLACE, 'new', FINISHED)
    await rename(at('a'), await dataPath())
    await rename(at('old'), at('a'))
    await restart()

    expect(await storage.remove('a')).toBe(true)
    expect(await storage.head('a')).toBeNull()
    expect(await readdir(directory)).toEqual(['.partial-upload'])
    expect(await readdir(hidden)).toEqual([])
  })

  test('before the move, when the name is taken, leaves a resource that can be read', async () => {
    await change('a', PERSIST, 'abc', FINISHED)
    await rename(at('a'), await dataPath())
    await mkdir(at('a'))
    await writeFile(at('a/b'), 'other')
    await restart()

    expect(await load('a')).toBe('abc')
    await expect(storage.openWriter('a', ATOMIC)).rejects.toMatchObject({
      code: 'ERR_KEY_CONFLICT',
    })
    expect(await load('a')).toBe('abc')
    expect(await storage.remove('a')).toBe(true)
    expect(await storage.head('a')).toBeNull()
    expect(await load('a/b')).toBe('other')
  })

  test('while a finished resource was opened again has opened it', async () => {
    await change('x/a', PERSIST, 'abc', FINISHED)
    await link(at('x/a'), at('old'))
    await change('x/a', ATOMIC, 'def', { ...BEGUN, everComplete: true })
    await mkdir(at('x'))
    await rename(at('old'), at('x/a'))
    await restart()

    expect(await storage.head('x/a')).toMatchObject({ complete: false, size: 6 })
    await open('x/a')
    expect(await readdir(directory)).toEqual(['.partial-upload'])
    expect(await load('x/a')).toBe('abcdef')
  })

  test('in a removal has removed the resource', async () => {
    await change('a', PERSIST, 'abc', FINISHED)
    await unlink(at('a'))
    await restart()
    expect(await storage.head('a')).toBeNull()

    await change('b', PERSIST, 'abc', BEGUN)
    for (const name of await hiddenNames('.json')) await unlink(path.join(hidden, name))
    await restart()
    expect(await storage.head('b')).toBeNull()
    expect(await storage.remove('b')).toBe(false)
    await change('b', PERSIST, 'def', FINISHED)
    expect(await load('b')).toBe('def')
  })

  test('during an upload has kept every byte', async () => {
    const writer = await storage.openWriter('a', PERSIST)
    await writer.write(0, [Buffer.from('abc')])
    await restart()

    expect(await load('a')).toBe('abc')
    await change('a', PERSIST, 'def', FINISHED)
    expect(await load('a')).toBe('abcdef')
    await writer.rollback()
  })

  test('during an atomic append has appended nothing', async () => {
    const before = await change('a', PERSIST, 'abc', BEGUN)
    const writer = await storage.openWriter('a', ATOMIC)
    await writer.write(3, [Buffer.from('def')])
    await restart()

    expect((await stat(await dataPath())).size).toBe(6)
    expect((await readRecord()).pinnedSize).toBe(3)
    expect(await storage.head('a')).toEqual(before)
    expect(await load('a')).toBe('abc')
    await open('a')
    expect((await stat(await dataPath())).size).toBe(3)
    expect((await readRecord()).pinnedSize).toBeNull()
    expect(await storage.head('a')).toEqual(before)
    await writer.rollback()
  })

  test('while it overwrote bytes in place leaves no etag for a mixture', async () => {
    const before = await change('a', PERSIST, 'abc', BEGUN)
    const writer = await storage.openWriter('a', PERSIST)
    await writer.write(1, [Buffer.from('X')])
    await restart()

    const first = await storage.head('a')
    const second = await storage.head('a')
    await open('a')
    const third = await storage.head('a')
    expect(new Set([before, first, second, third].map((info) => info?.etag)).size).toBe(4)
    expect((await storage.head('a'))?.etag).toBe(third?.etag)
    await writer.keep()
  })

  test('of a power cut may leave an empty record, which reads as absent', async () => {
    await change('a', PERSIST, 'abc', BEGUN)
    const [name = ''] = await hiddenNames('.json')
    for (const bytes of ['', '{}', '{"state":{}}', 'null']) {
      await writeFile(path.join(hidden, name), bytes)
      await restart()
      expect(await storage.head('a')).toBeNull()
    }
    await change('a', PERSIST, 'def', BEGUN)

    expect(await load('a')).toBe('def')
  })

  test('of version 0.1.0 names only the boot and no Content-Disposition, and is read', async () => {
    const state = { ...BEGUN, contentType: 'text/css', completeLength: 6 }
    const before = await change('a', PERSIST, 'abc', state)
    const [name = ''] = await hiddenNames('.json')
    const record = path.join(hidden, name)
    const text = await readFile(record, 'utf8')
    expect(text).not.toContain('contentDisposition')
    await writeFile(record, text.replace(/"boot":"([\w-]*)[^"]*"/, '"boot":"$1"'))
    await restart()

    expect(await storage.head('a')).toEqual(before)
    const finished = { ...state, complete: true, everComplete: true }
    expect(await change('a', PERSIST, 'def', finished)).toMatchObject({
      contentDisposition: null,
    })
    expect(await load('a')).toBe('abcdef')
  })

  test('leaves files that are removed when they are old', async () => {
    await change('begun', PERSIST, 'abc', BEGUN)
    await change('finished', PERSIST, 'abc', FINISHED)
    const needed = await readdir(hidden)
    await change('taken', PERSIST, 'abc', FINISHED)
    await unlink(at('taken'))
    const orphan = `${'x'.repeat(43)}.${'y'.repeat(12)}`
    await writeFile(path.join(hidden, `${orphan}.data`), '')
    await writeFile(path.join(hidden, `${orphan}.tmp`), '')
    await writeFile(path.join(hidden, `${'x'.repeat(43)}.json`), '')
    for (const name of await readdir(hidden)) {
      await utimes(path.join(hidden, name), TWO_HOURS_AGO, TWO_HOURS_AGO)
    }
    const young = `${'z'.repeat(43)}.${'y'.repeat(12)}.data`
    await writeFile(path.join(hidden, young), '')
    await writeFile(path.join(hidden, 'note.txt'), 'not ours')
    await utimes(path.join(hidden, 'note.txt'), TWO_HOURS_AGO, TWO_HOURS_AGO)
    await restart()
    await storage.head('a')

    const expected = [...needed, young, 'note.txt'].toSorted()
    await expect.poll(async () => (await readdir(hidden)).toSorted()).toEqual(expected)
    expect(await load('begun')).toBe('abc')
  })

  test.each([['x/y/z'], ['x/y'], ['x']])(
    'in a removal, before %s was removed, leaves no old empty directory',
    async (gone) => {
      await change('kept/a', PERSIST, 'abc', FINISHED)
      await change('x/y/z', PERSIST, 'abc', FINISHED)
      await rm(at(gone), { recursive: true })
      for (const name of await readdir(hidden)) {
        await utimes(path.join(hidden, name), TWO_HOURS_AGO, TWO_HOURS_AGO)
      }
      await restart()
      await storage.head('a')

      const expected = ['.partial-upload', 'kept']
      await expect.poll(async () => (await readdir(directory)).toSorted()).toEqual(expected)
      await expect.poll(() => hiddenNames('.json')).toHaveLength(1)
      expect(await load('kept/a')).toBe('abc')
    },
  )

  test('in a removal leaves the target of a link that has replaced a directory', async () => {
    await change('x/y/z', PERSIST, 'abc', FINISHED)
    await rm(at('x'), { recursive: true })
    await mkdir(path.join(parent, 'elsewhere/y'), { recursive: true })
    await symlink('../elsewhere', at('x'))
    for (const name of await readdir(hidden)) {
      await utimes(path.join(hidden, name), TWO_HOURS_AGO, TWO_HOURS_AGO)
    }
    await restart()
    await storage.head('a')

    await expect.poll(() => readdir(hidden)).toEqual([])
    expect(await readdir(path.join(parent, 'elsewhere'))).toEqual(['y'])
  })
})

describe('another process', () => {
  test('that starts keeps the bytes of a writer that was silent for hours', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const writer = await storage.openWriter('a', ATOMIC)
      await writer.write(0, [Buffer.from('abc')])
      const [data = ''] = await hiddenNames('.data')
      await utimes(path.join(hidden, data), TWO_HOURS_AGO, TWO_HOURS_AGO)
      vi.advanceTimersByTime(1_800_000)
      const orphan = `${'x'.repeat(43)}.${'y'.repeat(12)}.data`
      await writeFile(path.join(hidden, orphan), '')
      await utimes(path.join(hidden, orphan), TWO_HOURS_AGO, TWO_HOURS_AGO)
      const other = await elsewhere()
      await other.head('a')
      await expect.poll(() => hiddenNames('.data')).toEqual([data])

      await writer.commit(FINISHED)

      expect(await load('a', other)).toBe('abc')
    } finally {
      vi.useRealTimers()
    }
  })

  test('that appends makes a commit fail', async () => {
    await change('a', PERSIST, 'abc', BEGUN)
    for (const options of [PERSIST, ATOMIC]) {
      for (const state of [BEGUN, FINISHED]) {
        const writer = await storage.openWriter('a', options)
        const other = await (await elsewhere()).openWriter('a', PERSIST)
        await other.write(other.base?.size ?? 0, [Buffer.from('other')])
        await other.commit(BEGUN)

        await expect(writer.commit(state)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
        await writer.rollback()
      }
    }
  })

  test('that removes makes a commit fail', async () => {
    for (const state of [BEGUN, FINISHED]) {
      await change('a', PERSIST, 'abc', BEGUN)
      const writer = await storage.openWriter('a', PERSIST)
      await writer.write(3, [Buffer.from('def')])
      await (await elsewhere()).remove('a')

      await expect(writer.commit(state)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
      await writer.keep()
      expect(await load('a')).toBeNull()
    }
  })

  test('that creates makes a commit fail', async () => {
    const writer = await storage.openWriter('a', PERSIST)
    const other = await (await elsewhere()).openWriter('a', PERSIST)
    await other.write(0, [Buffer.from('other')])
    await other.commit(BEGUN)

    await expect(writer.commit(BEGUN)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    await writer.rollback()
    expect(await load('a')).toBe('other')
  })
})

test('a reader always gets one whole version while others replace it', async () => {
  const versions = new Map<string, string>()
  const replace = async () => {
    for (let count = 0; count < 60; count += 1) {
      const bytes = String.fromCharCode(97 + (count % 26)).repeat(count * 100)
      const { etag } = await change('x/a', REPLACE, bytes, count % 3 === 0 ? BEGUN : FINISHED)
      versions.set(etag, bytes)
    }
  }
  const done = new AbortController()
  const read = async () => {
    const seen: [string, string][] = []
    while (!done.signal.aborted) {
      const reader = await storage.openReader('x/a')
      // A file that is not that of its record would be one of another program, without a type.
      if (reader?.info.contentType !== 'text/plain') throw new Error('there is no version')
      if ((await storage.head('x/a'))?.contentType !== 'text/plain') throw new Error('no head')
      seen.push([reader.info.etag, await text(reader.read(0, reader.info.size))])
      await reader.close()
    }
    return seen
  }

  const first = await change('x/a', PERSIST, 'first', FINISHED)
  versions.set(first.etag, 'first')
  const readers = [read(), read(), read()]
  await replace().finally(() => done.abort())
  const seen = (await Promise.all(readers)).flat()

  expect(seen.length).toBeGreaterThan(0)
  expect(seen.filter(([etag, bytes]) => versions.get(etag) !== bytes)).toEqual([])
})

test('a resource is created although the removal of its neighbour removes their directory', async () => {
  const rounds = Array.from({ length: 30 }, async (_, index) => {
    await change(`x/y/${index}`, PERSIST, 'abc', FINISHED)
    await storage.remove(`x/y/${index}`)
  })
  await Promise.all(rounds)

  expect(await readdir(directory)).toEqual(['.partial-upload'])
})

/** Files below a directory that this process has open. */
function openFiles(below: string): string[] {
  const targets = readdirSync('/proc/self/fd').map((handle) => {
    try {
      return readlinkSync(`/proc/self/fd/${handle}`)
    } catch {
      return '' // It was closed meanwhile.
    }
  })
  return targets.filter((target) => target.startsWith(below))
}

test.runIf(process.platform === 'linux')('no file stays open', async () => {
  for (const end of ['commit', 'keep', 'rollback', 'conflict', 'stale'] as const) {
    for (const options of [PERSIST, ATOMIC, REPLACE]) {
      const key = `${end}-${options.transaction}-${options.replace}`
      for (const state of [BEGUN, FINISHED]) {
        const writer = await storage.openWriter(key, options)
        await writer.write(writer.base?.size ?? 0, [Buffer.from('abc')])
        await writer.write(0, [Buffer.from('X')])
        await text(writer.read(0, 2))
        const reader = await storage.openReader(key)
        if (end === 'conflict') await mkdir(at(key, 'below'), { recursive: true }).catch(() => {})
        if (end === 'stale') await storage.remove(key)
        if (end === 'keep' || end === 'rollback') await writer[end]()
        else await writer.commit(state).catch(() => writer.rollback())
        await reader?.close()
      }
      await storage.remove(key)
    }
  }
  await storage.openWriter('../a', ATOMIC).catch(() => {})
  await Promise.all(Array.from({ length: 10 }, () => storage.head('a')))

  // The sweep that the first access starts in the background reads the staging directory.
  await expect.poll(() => openFiles(parent), { timeout: 20_000 }).toEqual([])
})

describe('errors', () => {
  test.each([
    ['ENOSPC', -28],
    ['EDQUOT', -122],
    ['EFBIG', -27],
  ])('%s is reported as a full storage', async (code, errno) => {
    const cause = Object.assign(new Error('write'), errno === -122 ? { errno } : { code, errno })

    expect(errorCode(cause)).toBe(code)
    await expect(reportFull(Promise.reject(cause))).rejects.toMatchObject({
      code: 'ERR_STORAGE_FULL',
      status: 507,
      message: 'the storage has no room left',
      cause,
    })
  })

  test('of other kinds are passed on unchanged', async () => {
    const error = Object.assign(new Error('read'), { code: 'EIO', errno: -5 })

    await expect(reportFull(Promise.reject(error))).rejects.toBe(error)
    expect(errorCode('EIO')).toBeNull()
  })

  test('the loss of the whole directory fails a commit', async () => {
    const writer = await storage.openWriter('x/a', PERSIST)
    await writer.write(0, [Buffer.from('abc')])
    await rm(directory, { recursive: true })

    await expect(writer.commit(FINISHED)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    await writer.rollback()
    await mkdir(directory)
  })

  test('a file that has become shorter fails its reader', async () => {
    await change('a', PERSIST, 'abc', FINISHED)
    const reader = await storage.openReader('a')
    await writeFile(at('a'), '')

    if (reader === null) throw new Error('there is no version')
    await expect(text(reader.read(0, 3))).rejects.toThrow('the file ends at 0')
    await reader.close()
  })

  test('a position beyond the end and a size out of range are the caller’s mistake', async () => {
    await change('a', PERSIST, 'abc', BEGUN)
    const writer = await storage.openWriter('a', PERSIST)

    await expect(writer.write(4, [Buffer.from('x')])).rejects.toThrow(RangeError)
    await expect(writer.truncate(4)).rejects.toThrow(RangeError)
    await expect(writer.truncate(2)).rejects.toThrow(RangeError)
    await writer.rollback()
    const atomic = await storage.openWriter('a', REPLACE)
    await expect(atomic.truncate(1)).rejects.toThrow(RangeError)
    await expect(text(atomic.read(0, 1))).rejects.toThrow(RangeError)
    await atomic.rollback()
  })
})

test('closing a reader waits for the read under way', async () => {
  const order: string[] = []
  const file = {
    read: async () => {
      await lstat(parent)
      order.push('read')
      return { bytesRead: 1 }
    },
    close: async () => {
      order.push('closed')
    },
  }
  const reader = new FileReader(file, () => {})
  const reading = text(reader.read(0, 1))
  await reader.close()
  await reading

  expect(order).toEqual(['read', 'closed'])
})
