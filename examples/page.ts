/** Serves the page of `examples/page`: its files are made once, and kept in memory. */

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'

import { build } from 'esbuild'
import express, { type Router } from 'express'

/** By the package's name, because the compiled server runs from another folder. */
const ROOT = path.dirname(createRequire(import.meta.url).resolve('partial-upload/package.json'))
const SOURCE = path.join(ROOT, 'examples/page')

/** Nothing but the page's own script, style and icon runs or loads in it. */
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

/** Makes the page, which is at `/`. */
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

async function copy(name: string): Promise<readonly [NamedFile]> {
  return [[name, await readFile(path.join(SOURCE, name))]]
}

/** The script with the client, in a file for what is needed at once and others for the rest. */
async function bundle(): Promise<readonly NamedFile[]> {
  const { outputFiles } = await build({
    entryPoints: [path.join(SOURCE, 'main.ts'), path.join(SOURCE, 'style.css')],
    outdir: SOURCE,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    // The client as it is in this repository; an app takes the one that is installed.
    conditions: ['@partial-upload/source'],
    write: false,
  })
  return outputFiles.map(({ path: file, contents }) => [
    path.basename(file),
    Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength),
  ])
}
