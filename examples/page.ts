/**
 * Serves the page of `examples/page`. Its script is bundled once, when the server starts, and kept in
 * memory. `npm start` shows the page; server.ts mounts it.
 */

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'

import { build } from 'esbuild'
import express, { type Router } from 'express'

/**
 * The folder of the package. It is found by name, because the compiled server runs from
 * `dist/examples`.
 */
const ROOT = path.dirname(createRequire(import.meta.url).resolve('partial-upload/package.json'))
const SOURCE = path.join(ROOT, 'examples/page')

/**
 * Fields of the page. The Content-Security-Policy allows its own script, style and icon, and nothing
 * else. An uploaded file with a script, or a file name with markup, can then not run in the page.
 */
const PAGE_FIELDS = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
}

/** Bundles the page, and returns a router that serves it at `/`. */
export async function servePage(): Promise<Router> {
  const files = new Map(await Promise.all([bundle(), copy('icon.svg')]).then((all) => all.flat()))
  const [[, html]] = await copy('index.html')
  const router = express.Router()
  router.get('/', (_req, res) => void res.set(PAGE_FIELDS).type('html').send(html))
  router.get('/page/:name', (req, res, next) => {
    const content = files.get(req.params.name)
    if (content === undefined) next()
    else res.set(PAGE_FIELDS).type(path.extname(req.params.name)).send(content)
  })
  return router
}

type NamedFile = readonly [name: string, content: Buffer]

/** Reads a file of the page that needs no bundling. */
async function copy(name: string): Promise<readonly [NamedFile]> {
  return [[name, await readFile(path.join(SOURCE, name))]]
}

/** Bundles the script of the page with the client, and its style. */
async function bundle(): Promise<readonly NamedFile[]> {
  const { outputFiles } = await build({
    entryPoints: [path.join(SOURCE, 'main.ts'), path.join(SOURCE, 'style.css')],
    outdir: SOURCE,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    // Takes the client from the sources of this repository. An app leaves this out, and gets the
    // installed one.
    conditions: ['@partial-upload/source'],
    write: false,
  })
  return outputFiles.map(({ path: file, contents }) => [
    path.basename(file),
    Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength),
  ])
}
