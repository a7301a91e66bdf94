/** The entries of a folder that `put` sends, and its remarks about the others. */
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'

import { fsStorage } from 'partial-upload/storage/fs'
import { beforeEach, describe, expect, test } from 'vitest'

import { useBench } from '../support/client/setup.ts'
import { root, useCommandLine } from '../support/cli/setup.ts'

const NOBODY = 65_534
const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']

const line = useCommandLine()
const bench = useBench()

beforeEach(async () => {
  await bench.store(() => fsStorage({ directory: line.at('uploads') }))
  mkdirSync(line.at('photos/inner'), { recursive: true })
  writeFileSync(line.at('photos/a.jpg'), 'a')
  writeFileSync(line.at('photos/inner/b.jpg'), 'b')
})

const put = async (...names: readonly string[]): ReturnType<typeof line.run> =>
  line.run('put', '--retries', '0', ...names, new URL('./', bench.url).href)

function uploaded(): readonly string[] {
  if (!existsSync(line.at('uploads'))) return []
  return readdirSync(line.at('uploads'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\/\./.test(path.join(entry.parentPath, entry.name)))
    .map((entry) => path.relative(line.at('uploads'), path.join(entry.parentPath, entry.name)))
    .toSorted()
}

describe('put FOLDER', () => {
  test('skips links, named pipes and sockets with a line each, and succeeds', async () => {
    writeFileSync(line.at('secret'), 'secret')
    symlinkSync('../secret', line.at('photos/c.jpg'))
    symlinkSync('..', line.at('photos/inner/loop'))
    symlinkSync('none', line.at('photos/broken'))
    execFileSync('mkfifo', [line.at('photos/pipe')])
    const socket = createServer().listen(line.at('photos/socket'))
    await once(socket, 'listening')

    const { code, err } = await put('photos')
    socket.close()

    expect([code, err.trimEnd().split('\n')]).toEqual([
      0,
      [
        'partial-upload: photos/broken: skipped (symbolic link)',
        'partial-upload: photos/c.jpg: skipped (symbolic link)',
        'partial-upload: photos/inner/loop: skipped (symbolic link)',
        'partial-upload: photos/pipe: skipped (named pipe)',
        'partial-upload: photos/socket: skipped (socket)',
      ],
    ])
    expect(uploaded()).toEqual(['photos/a.jpg', 'photos/inner/b.jpg'])
  })

  test('follows links that are named on the command line', async () => {
    symlinkSync('photos', line.at('album'))
    symlinkSync('photos/a.jpg', line.at('cover.jpg'))

    const { code } = await put('album', 'cover.jpg')

    expect(code).toBe(0)
    expect(uploaded()).toEqual(['album/a.jpg', 'album/inner/b.jpg', 'cover.jpg'])
  })

  test('reports names that are not UTF-8, and sends the others', async () => {
    const name = Buffer.concat([Buffer.from(`${line.at('photos')}/caf`), Buffer.from([0xe9])])
    writeFileSync(name, 'c')
    mkdirSync(Buffer.concat([name, Buffer.from('s')]))

    const { code, err } = await put('photos')

    expect([code, err]).toEqual([
      1,
      'partial-upload: photos/caf\ufffd: the name is not valid UTF-8; rename the file\n' +
        'partial-upload: photos/caf\ufffds: the name is not valid UTF-8; rename the file\n',
    ])
    expect(uploaded()).toEqual(['photos/a.jpg', 'photos/inner/b.jpg'])
  })

  test('reports that a device or a named pipe is not a file', async () => {
    execFileSync('mkfifo', [line.at('pipe')])

    const { code, err } = await put('pipe', '/dev/null', 'photos/a.jpg')

    expect([code, err.trimEnd().split('\n')]).toEqual([
      1,
      [
        expect.stringMatching(/^partial-upload: pipe: this is a named pipe; .+ standard input$/),
        expect.stringMatching(/^partial-upload: \/dev\/null: this is a device; /),
      ],
    ])
    expect(uploaded()).toEqual(['a.jpg'])
  })

  test.skipIf(!canRunAsNobody())(
    'says which files and folders can not be read, and sends the others (needs root and setpriv)',
    async () => {
      writeFileSync(line.at('photos/locked.jpg'), 'c')
      chmodSync(line.at('photos/locked.jpg'), 0)
      chmodSync(line.at('photos/inner'), 0)
      chmodSync(line.folder, 0o755)
      chmodSync(path.dirname(path.dirname(path.dirname(line.program))), 0o755)
      chownSync(line.at('photos'), NOBODY, NOBODY)

      const url = new URL('./', bench.url).href
      const command = ['node', line.program, 'put', '--retries', '0', 'photos', url]
      const { outcome } = line.startProgram('setpriv', [...AS_NOBODY, ...command])
      const { code, err } = await outcome

      expect([code, err.trimEnd().split('\n')]).toEqual([
        1,
        [
          expect.stringMatching(/^partial-upload: photos\/inner: permission is denied \(EACCES/),
          expect.stringMatching(/^partial-upload: photos\/locked\.jpg: .*\(EACCES/),
        ],
      ])
      expect(uploaded()).toEqual(['photos/a.jpg'])
    },
  )
})

/**
 * Whether another user can run the command. The clone may be in a folder that only root can enter.
 */
function canRunAsNobody(): boolean {
  if (process.getuid?.() !== 0) return false
  const main = path.join(root, 'node_modules/mime/package.json')
  return spawnSync('setpriv', [...AS_NOBODY, 'test', '-r', main]).status === 0
}
