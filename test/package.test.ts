import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { DOCUMENTS, LINKS } from './support/readme/documents.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const consumer = mkdtempSync(path.join(tmpdir(), 'partial-upload-consumer-'))
/**
 * A copy of this repository, since packing builds it anew while other tests run what is built here.
 */
const checkout = path.join(consumer, 'checkout')
const installed = path.join(consumer, 'node_modules/partial-upload')

const TYPE_CHECK = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2023'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
  },
}

/** Runs in the app's process after the package was loaded: one upload in two segments. */
const UPLOAD = `
const send = (port, range, text) =>
  fetch('http://127.0.0.1:' + port + '/files/a.txt', {
    method: 'PATCH',
    headers: { 'Content-Type': 'message/byteranges' },
    body: 'Content-Range: bytes ' + range + '\\r\\n\\r\\n' + text,
  })
const app = express()
app.use('/files', partialUpload({ storage: process.argv[2] === 'fs' ? fsStorage({ directory: process.argv[3] }) : memoryStorage() }))
const server = prepareServer(app.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  const first = await send(port, '0-4/11', 'Hello')
  const last = await send(port, '5-10/11', ' world')
  const whole = await fetch('http://127.0.0.1:' + port + '/files/a.txt')
  console.log(first.status, last.status, await whole.text())
  server.close()
  server.closeAllConnections()
}))
`

/** The source for both module systems: typed options, and the requests of every framework. */
const TYPED_USE = `
declare global {
  namespace Express {
    interface Request {
      user?: { readonly name: string }
    }
  }
}
const app = express()
app.use('/files', partialUpload({
  storage: memoryStorage(),
  key: (req, path) => req.user === undefined ? null : req.user.name + '/' + path,
  owner: (req) => req.ip ?? null,
  onCreate: (req, { name }) => { if (name === null) throw new Error(req.originalUrl) },
  onComplete: (req, { key }) => ({ body: { key, user: req.user?.name } }),
}))
const storages: StorageAdapter[] = [memoryStorage(), fsStorage({ directory: '.', fsync: 'never' })]
for (const storage of storages) {
  app.use('/files', partialUpload({ storage, preset: 'ietf', maxSize: 1024 }))
}
// @ts-expect-error: a storage is needed
partialUpload({})
// @ts-expect-error: not a preset
partialUpload({ storage: memoryStorage(), preset: 'next' })
app.use('/files', partialUpload({
  storage: memoryStorage(),
  owner: (req: express.Request) => req.ip ?? null,
  onComplete: (req: express.Request) => ({ body: req.originalUrl }),
}))
app.use('/files', partialUpload<express.Request>({
  storage: memoryStorage(),
  owner: (req) => req.ip ?? null,
}))
express4().use('/files', partialUpload({ storage: memoryStorage() }))
express4().use('/files', partialUpload({
  storage: memoryStorage(),
  owner: (req: express4.Request) => req.ip ?? null,
}))
const uploads = partialUpload({
  storage: memoryStorage(),
  owner: (req) => req.headers.authorization ?? null,
})
const passOn = () => undefined
createServer((req, res) => uploads(req, res, passOn))
http2.createServer((req, res) => uploads(req, res, passOn))
http2.createSecureServer({ allowHTTP1: true }, (req, res) => uploads(req, res, passOn))
const typed = partialUpload({
  storage: memoryStorage(),
  owner: (req: http2.Http2ServerRequest) => req.authority,
})
prepareServer(http2.createServer((req, res) => typed(req, res, passOn)))
// @ts-expect-error: its hook reads a property that only a request over HTTP/2 has
createServer((req, res) => typed(req, res, passOn))
const code: ErrorCode = new UploadError('ERR_GAP', { detail: '' }).code
prepareServer(createServer(app)).listen(0)
export const checks = [code, storageContract]
`

beforeAll(() => {
  copyRepository(checkout)
  run('npm', ['pack', '--silent', '--pack-destination', consumer], checkout)
  const [tarball] = readdirSync(consumer).filter((name) => name.endsWith('.tgz'))
  mkdirSync(installed, { recursive: true })
  run('tar', ['-xzf', `${tarball}`, '--strip-components', '1', '-C', installed], consumer)
  for (const name of [...declaredPackages(), '@types/express4', '@types/node']) link(name)
}, 120_000)

afterAll(() => rmSync(consumer, { recursive: true, force: true }))

describe('the packed package', () => {
  test('holds the build, its source and its documents, and nothing else', () => {
    const names = readdirSync(installed, { recursive: true, encoding: 'utf8' })
    const files = names.filter((name) => statSync(path.join(installed, name)).isFile())
    const others = files.filter(
      (name) => !/^(dist|src)\/[\w/-]+(\.(d\.)?ts|\.js|\.d\.ts\.map)$/.test(name),
    )

    const documents = [...DOCUMENTS.map(({ name }) => name), 'CHANGELOG.md', 'LICENSE']
    const rest = others.filter((name) => !name.startsWith('examples/') || name.endsWith('.md'))
    expect(rest.toSorted()).toEqual([...documents, 'package.json'].toSorted())
    expect(names).toContain('dist/index.js')
  })

  test('has the target of every link in its READMEs', () => {
    const broken = LINKS.filter(({ file }) => !existsSync(path.join(installed, file)))

    expect(broken).toEqual([])
  })

  test('has every file that its exports name', () => {
    const targets = Object.values(readPackage().exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    )
    const missing = targets.filter((target) => !existsSync(path.join(installed, target)))

    expect(missing).toEqual([])
  })

  test('has the command that its bin names', () => {
    const { bin, version } = readPackage()
    const program = path.join(installed, bin['partial-upload'] ?? '')

    expect(readFileSync(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
    expect(run('node', [program, '--version'])).toBe(`${version}\n`)
  })

  test('serves an upload in an ESM app', () => {
    writeFileSync(
      path.join(consumer, 'app.mjs'),
      `import express from 'express'
      import { partialUpload, prepareServer } from 'partial-upload'
      import { fsStorage } from 'partial-upload/storage/fs'
      import { memoryStorage } from 'partial-upload/storage/memory'
      ${UPLOAD}`,
    )

    expect(run('node', ['app.mjs', 'memory'])).toBe('202 201 Hello world\n')
    expect(run('node', ['app.mjs', 'fs', path.join(consumer, 'esm')])).toBe('202 201 Hello world\n')
  })

  test('runs the quickstart of its README as server.mjs', async () => {
    const [, code = ''] =
      /^```ts\n(.*?)^```$/ms.exec(readFileSync(path.join(installed, 'README.md'), 'utf8')) ?? []
    writeFileSync(path.join(consumer, 'server.mjs'), code)
    const env = { ...process.env, NODE_OPTIONS: '', PORT: '0' }
    const server = spawn('node', ['server.mjs'], { cwd: consumer, env })

    const [line] = (await once(server.stdout, 'data')) as [Buffer]
    const url = `http://127.0.0.1:${/port: (\d+)/.exec(line.toString())?.[1]}/files/quick.txt`
    const created = await fetch(url, { method: 'PUT', body: 'hello' })

    expect(created.status).toBe(201)
    expect(readFileSync(path.join(consumer, 'uploads/quick.txt'), 'utf8')).toBe('hello')
    const exit = once(server, 'exit')
    server.kill()
    await exit
  })

  test('serves an upload in a CommonJS app', () => {
    writeFileSync(
      path.join(consumer, 'app.cjs'),
      `const express = require('express')
      const { partialUpload, prepareServer } = require('partial-upload')
      const { fsStorage } = require('partial-upload/storage/fs')
      const { memoryStorage } = require('partial-upload/storage/memory')
      ${UPLOAD}`,
    )

    expect(run('node', ['app.cjs', 'memory'])).toBe('202 201 Hello world\n')
    expect(run('node', ['app.cjs', 'fs', path.join(consumer, 'cjs')])).toBe('202 201 Hello world\n')
  })

  test('has types for ESM and CommonJS callers', () => {
    writeFileSync(
      path.join(consumer, 'app.mts'),
      `import { createServer } from 'node:http'
      import http2 from 'node:http2'
      import express from 'express'
      import express4 from 'express4'
      import { partialUpload, prepareServer, UploadError } from 'partial-upload'
      import type { ErrorCode, StorageAdapter } from 'partial-upload'
      import { storageContract } from 'partial-upload/storage/contract'
      import { fsStorage } from 'partial-upload/storage/fs'
      import { memoryStorage } from 'partial-upload/storage/memory'
      ${TYPED_USE}`,
    )
    writeFileSync(
      path.join(consumer, 'app.cts'),
      `import { createServer } from 'node:http'
      import http2 = require('node:http2')
      import express = require('express')
      import express4 = require('express4')
      import { partialUpload, prepareServer, UploadError } from 'partial-upload'
      import type { ErrorCode, StorageAdapter } from 'partial-upload'
      import contract = require('partial-upload/storage/contract')
      import { fsStorage } from 'partial-upload/storage/fs'
      import { memoryStorage } from 'partial-upload/storage/memory'
      const { storageContract } = contract
      ${TYPED_USE}`,
    )
    const config = { ...TYPE_CHECK, files: ['app.mts', 'app.cts'] }

    expect(checkTypes('typescript', config)).toBe('')
  }, 60_000)

  test.each([
    // Under node16, TypeScript does not know that Node can require an ES module.
    ['typescript', 'app.mts', { module: 'node16' }],
    ['typescript', 'app.ts', { module: 'esnext', moduleResolution: 'bundler' }],
    [
      'typescript5',
      'app.ts',
      { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true },
    ],
  ])(
    'has types for %s, %s with %j',
    (compiler, file, options) => {
      writeFileSync(
        path.join(consumer, file),
        `import express from 'express'
        import { partialUpload, type StorageAdapter } from 'partial-upload'
        import { upload } from 'partial-upload/client'
        import { storageContract } from 'partial-upload/storage/contract'
        import { fsLocker, fsStorage } from 'partial-upload/storage/fs'
        import { memoryStorage } from 'partial-upload/storage/memory'
        const storage: StorageAdapter = fsStorage({ directory: '.' })
        const owner: string = fsLocker
        express().use(partialUpload({ storage, owner: (req) => req.ip ?? null }))
        export const checks = [memoryStorage, storageContract, upload]`,
      )
      const { compilerOptions } = TYPE_CHECK
      const config = {
        compilerOptions: { ...compilerOptions, lib: ['es2023', 'dom'], ...options },
        files: [file],
      }

      // One error, so that the compiler is known to have read the types.
      expect(checkTypes(compiler, config)).toBe(
        `${file}(8,15): error TS2322: Type '({ directory }: FsLockerOptions) => Locker' is not assignable to type 'string'.\n`,
      )
    },
    60_000,
  )

  test.each([
    ['nodenext', {}],
    ['bundler', { module: 'esnext', moduleResolution: 'bundler' }],
  ])(
    'has types for many files, React and Uppy under %s',
    (name, options) => {
      for (const types of ['@types/react', 'csstype']) if (name === 'nodenext') link(types)
      const file = `${name}.mts`
      writeFileSync(
        path.join(consumer, file),
        `import { Uppy } from '@uppy/core'
        import { uploadAll } from 'partial-upload/client/upload-all'
        import { useUploads } from 'partial-upload/react'
        import { PartialUpload } from 'partial-upload/uppy'
        new Uppy().use(PartialUpload, { endpoint: '/files/', limit: 2 })
        const wrong: string = uploadAll([new File([], 'a')], { url: '/files/' }).progress.sent
        export const checks = [useUploads, wrong]`,
      )
      const { compilerOptions } = TYPE_CHECK
      // Uppy's own types are not checked.
      const lib = { lib: ['es2023', 'dom', 'dom.iterable'], skipLibCheck: true }
      const config = { compilerOptions: { ...compilerOptions, ...lib, ...options }, files: [file] }

      expect(checkTypes('typescript', config)).toBe(
        `${file}(6,15): error TS2322: Type 'number' is not assignable to type 'string'.\n`,
      )
    },
    60_000,
  )

  test('has types for an app without those of Express', () => {
    const bare = path.join(consumer, 'bare')
    mkdirSync(path.join(bare, 'node_modules/@types'), { recursive: true })
    symlinkSync(
      path.join(root, 'node_modules/@types/node'),
      path.join(bare, 'node_modules/@types/node'),
    )
    cpSync(installed, path.join(bare, 'node_modules/partial-upload'), { recursive: true })
    writeFileSync(
      path.join(bare, 'app.mts'),
      `import { createServer } from 'node:http'
      import { partialUpload } from 'partial-upload'
      import { memoryStorage } from 'partial-upload/storage/memory'
      const uploads = partialUpload({ storage: memoryStorage() })
      createServer((req, res) => uploads(req, res, () => undefined))`,
    )
    const config = { ...TYPE_CHECK, files: ['app.mts'] }

    expect(checkTypes('typescript', config, bare)).toBe('')
  }, 60_000)
})

/** Returns the errors that a compiler reports for a project, one per line. */
function checkTypes(compiler: string, config: object, directory = consumer): string {
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify(config))
  const tsc = path.join(root, 'node_modules', compiler, 'bin/tsc')
  const { stdout } = spawnSync('node', [tsc, '--project', directory, '--pretty', 'false'], {
    cwd: directory,
    encoding: 'utf8',
  })
  return stdout
}

/** Runs a program and returns what it printed; fails with all of it when the program fails. */
function run(program: string, args: readonly string[], cwd = consumer): string {
  const env = { ...process.env, NODE_OPTIONS: '' }
  try {
    return execFileSync(program, args, { cwd, env, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${program} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error })
  }
}

interface PackageJson {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

function copyRepository(target: string): void {
  const own = ['node_modules', 'dist', 'coverage', '.git']
  for (const name of readdirSync(root).filter((entry) => !own.includes(entry)))
    cpSync(path.join(root, name), path.join(target, name), { recursive: true })
  symlinkSync(path.join(root, 'node_modules'), path.join(target, 'node_modules'), 'junction')
}

function readPackage(): PackageJson {
  return JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8')) as PackageJson
}

/** Only these are linked, so that an import of anything else fails. */
function declaredPackages(): readonly string[] {
  const { dependencies, peerDependencies } = readPackage()
  return Object.keys({ ...dependencies, ...peerDependencies })
}

function link(name: string): void {
  const target = path.join(consumer, 'node_modules', name)
  mkdirSync(path.dirname(target), { recursive: true })
  symlinkSync(path.join(root, 'node_modules', name), target, 'junction')
}
