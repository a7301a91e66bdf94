import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { build, type Plugin } from 'esbuild'
import { expect, test } from 'vitest'

/** Leaves out what is loaded only when it is needed. */
const LAZY: Plugin = {
  name: 'lazy',
  setup(hooks) {
    hooks.onResolve({ filter: /./ }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    )
  },
}

async function bundle(plugins: Plugin[]) {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('../../src/client/index.ts', import.meta.url))],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
    plugins,
  })
  return {
    size: gzipSync(outputFiles[0]!.contents).byteLength,
    inputs: Object.keys(metafile.inputs),
  }
}

test('what a page loads at once has at most 6 KB', async () => {
  const { size } = await bundle([LAZY])

  expect(size).toBeLessThanOrEqual(6000)
})

test('what a page loads at most has at most 9 KB, and knows neither Node nor the server', async () => {
  const { size, inputs } = await bundle([])

  expect(size).toBeLessThanOrEqual(9000)
  expect(inputs.filter((input) => !input.startsWith('src/client/'))).toEqual([])
})
