import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { build } from 'esbuild'
import { expect, test } from 'vitest'

const FOLDER = fileURLToPath(new URL('../../src/client', import.meta.url))

/**
 * What a bundler makes of an app that only exports this of the client: one file, minified. Nothing is
 * loaded later, because service workers do not support `import()`, and because a chunk could not be
 * loaded while the connection is broken.
 */
async function bundle(statement: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: `${statement} from './index.ts'`, resolveDir: FOLDER },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
  })
  return {
    gzipped: gzipSync(outputFiles[0]!.contents).byteLength,
    inputs: Object.keys(metafile.inputs).filter((input) => input !== '<stdin>'),
    imports: Object.values(metafile.outputs).flatMap(({ imports }) => imports),
  }
}

test('`upload` takes at most 8 KiB', async () => {
  const { gzipped } = await bundle('export { upload }')

  expect(gzipped).toBeLessThanOrEqual(8 * 1024)
})

test('all that it exports takes at most 8.7 KiB, and knows neither Node nor the server', async () => {
  const { gzipped, inputs, imports } = await bundle('export *')

  expect(gzipped).toBeLessThanOrEqual(8.7 * 1024)
  expect(inputs.filter((input) => !input.startsWith('src/client/'))).toEqual([])
  expect(imports).toEqual([])
})
