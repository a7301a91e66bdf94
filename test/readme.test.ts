/** Holds the READMEs to the code: their tables, links, names and excerpts. */

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

import { DEFAULTS, ERRORS, PRESETS, partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, test } from 'vitest'

import { BLOCKS, DOCUMENTS, LINKS, ROOT, prose, table } from './support/readme/documents.ts'

const SERVER = 'src/server/README.md'
const PROTOCOL = 'src/protocol/README.md'

describe('tables', () => {
  test('of options', () => {
    const defaults = table(SERVER, 'option', 'default').map(([name, value = '']) => [
      name,
      parse(value),
    ])

    expect(defaults).toEqual(Object.entries(DEFAULTS))
  })

  test('of presets', () => {
    const rows = table(PROTOCOL, 'option', 'answers')

    for (const [index, statuses] of Object.values(PRESETS).entries()) {
      const shown = rows.map(([name, , ...values]) => [name, Number(values[index])])
      expect(shown).toEqual(Object.entries(statuses))
    }
  })

  test('of hooks and functions', () => {
    const storage = memoryStorage()

    for (const [name = ''] of table(SERVER, 'option', 'meaning')) {
      expect(() => partialUpload({ [name]: undefined, storage })).not.toThrow()
    }
  })

  test('of errors', () => {
    const errors = table(PROTOCOL, 'code', 'status').map(([code, status, title]) => [
      code,
      [Number(status), title],
    ])

    expect(errors).toEqual(Object.entries(ERRORS))
  })
})

describe('names', () => {
  test('of error codes exist', () => {
    const client = readFileSync(path.join(ROOT, 'src/client/error.ts'), 'utf8')
    const known = new Set([...Object.keys(ERRORS), ...(client.match(/\bERR_\w+/g) ?? [])])
    const named = DOCUMENTS.flatMap(({ text }) => text.match(/\bERR_\w+/g) ?? [])

    expect(named.filter((code) => !known.has(code))).toEqual([])
  })

  test('of files of the repository exist', () => {
    const paths = /`((?:src|test|examples|bench)\/[\w./-]*)`/g
    const named = DOCUMENTS.flatMap(({ text }) => [...prose(text).matchAll(paths)])

    const missing = named.filter(([, name = '']) => !existsSync(path.join(ROOT, name)))
    expect(missing.map(([name]) => name)).toEqual([])
  })
})

test('every link leads to a file and a heading', () => {
  const broken = LINKS.filter(({ file, heading }) => !hasHeading(file, heading))

  expect(broken).toEqual([])
})

describe('code', () => {
  test('of the first block is the quickstart', () => {
    const first = BLOCKS.find(({ language }) => language === 'ts')

    expect(first?.code).toBe(readFileSync(path.join(ROOT, 'examples/quickstart.ts'), 'utf8'))
  })

  test('is taken from examples, each of which a test runs', () => {
    const sources = ['examples', 'test/examples'].flatMap((folder) =>
      readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => unindent(readFileSync(path.join(ROOT, folder, name), 'utf8'))),
    )

    const excerpts = BLOCKS.filter(({ language }) => language === 'ts')
    const unknown = excerpts.filter(
      ({ code }) => !sources.some((source) => source.includes(unindent(code))),
    )
    expect(unknown).toEqual([])
  })
})

function hasHeading(file: string, heading: string): boolean {
  const target = path.join(ROOT, file)
  if (!existsSync(target)) return false
  if (heading === '') return true
  const titles = prose(readFileSync(target, 'utf8')).matchAll(/^#+ (.*)$/gm)
  return [...titles].some(([, title = '']) => slug(title) === heading)
}

/** The fragment that GitHub and npm make of a heading. */
function slug(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

/** `1 TiB + 1 MiB`, `2000` or `true` as a value. */
function parse(cell: string): number | boolean | string {
  if (cell.startsWith("'")) return cell.slice(1, -1)
  if (cell === 'true' || cell === 'false') return cell === 'true'
  const units = ['', 'KiB', 'MiB', 'GiB', 'TiB']
  const terms = cell.split(' + ').map((term) => {
    const [number, unit = ''] = term.split(' ')
    return Number(number) * 1024 ** units.indexOf(unit)
  })
  return terms.reduce((sum, term) => sum + term, 0)
}

function unindent(code: string): string {
  return code
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
}
