/** Two storages of one process on one folder. */
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { lockerOf } from '../../../src/storage/lock.ts'
import { BEGUN, PERSIST } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

let parent: string

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'partial-upload-'))
})

afterEach(async () => {
  await rm(parent, { recursive: true })
})

test('share their locks for every form of the path and all options', async () => {
  await mkdir(path.join(parent, 'there'))
  await symlink('there', path.join(parent, 'link'))
  const one = fsStorage({ directory: path.join(parent, 'there/uploads') })
  const two = fsStorage({ directory: path.join(parent, 'link/uploads/'), fsync: 'never' })
  const relative = fsStorage({
    directory: path.relative(process.cwd(), path.join(parent, 'there/../there/uploads')),
  })
  const other = fsStorage({ directory: path.join(parent, 'there') })
  await one.head('a')
  const later = fsStorage({ directory: path.join(parent, 'link/uploads') })

  expect([two, relative, later].map(lockerOf)).toEqual(Array(3).fill(lockerOf(one)))
  expect(lockerOf(two)).toBe(lockerOf(one))
  expect(lockerOf(other)).not.toBe(lockerOf(one))
})

test('see the bytes of the other, and do not overwrite them', async () => {
  const directory = path.join(parent, 'uploads')
  const [one, two] = [fsStorage({ directory }), fsStorage({ directory, fsync: 'segment' })]
  const first = await one.openWriter('a', PERSIST)
  await first.write(0, [Buffer.from('abc')])
  const second = await two.openWriter('a', PERSIST)
  await second.write(3, [Buffer.from('def')])

  await expect(first.write(3, [Buffer.from('xyz')])).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  await second.commit(BEGUN)
  await first.rollback()

  const reader = await one.openReader('a')
  expect(reader && (await text(reader.read(0, 6)))).toBe('abcdef')
  await reader?.close()
})
