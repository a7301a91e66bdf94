import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { build } from 'esbuild'
import { expect, test } from 'vitest'

import { table } from '../support/readme/documents.ts'

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url))

/** The source of the bundle for each row of the table in the README. */
const BUNDLES: Readonly<Record<string, string>> = {
  upload: `export { upload } from './client/index.ts'`,
  'all of partial-upload/client': `export * from './client/index.ts'`,
  uploadAll: `export { uploadAll } from './client/upload-all.ts'`,
  useUploads: `export { useUploads } from './react.ts'`,
  'partial-upload/uppy': `export { PartialUpload } from './uppy/index.ts'`,
}

/**
 * Bundles an app that only exports this of the client, into one minified file. It loads nothing
 * later, because service workers do not support `import()`, and because a chunk can't be loaded
 * while the connection is broken.
 */
async function bundle(contents: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: SOURCE },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    external: ['react', '@uppy/core'],
    write: false,
    metafile: true,
  })
  return {
    gzipped: gzipSync(outputFiles[0]!.contents).byteLength,
    inputs: Object.keys(metafile.inputs).filter((input) => input !== '<stdin>'),
    imports: Object.values(metafile.outputs).flatMap(({ imports }) => imports),
  }
}

test.each(table('src/client/README.md', 'import', 'at most'))(
  '%s takes at most %s',
  async (name = '', size = '') => {
    const { gzipped } = await bundle(BUNDLES[name] ?? '')

    expect(gzipped).toBeLessThanOrEqual(Number.parseFloat(size) * 1024)
  },
)

test('the table of sizes has a row for each subpath of the client', () => {
  const rows = table('src/client/README.md', 'import', 'at most')

  expect(rows.map(([name]) => name)).toEqual(Object.keys(BUNDLES))
})

test('the client imports neither Node nor the server', async () => {
  const { inputs, imports } = await bundle(`export * from './client/index.ts'`)

  expect(inputs.filter((input) => !input.startsWith('src/client/'))).toEqual([])
  expect(imports).toEqual([])
})

test('a bundle for browsers has no streamed requests', async () => {
  const { inputs } = await bundle(`export * from './client/index.ts'`)
  const manifest: unknown = JSON.parse(readFileSync(path.join(SOURCE, '../package.json'), 'utf8'))

  expect(inputs).toContain('src/client/transport/blob-body.ts')
  expect(inputs).not.toContain('src/client/transport/stream-body.ts')
  expect(manifest).toHaveProperty(
    ['browser', './dist/client/transport/stream-body.js'],
    './dist/client/transport/blob-body.js',
  )
})
