/** Compares the READMEs with the code: their tables, links, names and excerpts. */

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

import { ERRORS } from 'partial-upload'
import { describe, expect, test } from 'vitest'

import { DEFAULTS as CLIENT_DEFAULTS } from '../src/client/settings.ts'
import { OPTIONS, PRESETS } from '../src/settings.ts'
import {
  BLOCKS,
  DOCUMENTS,
  LINKS,
  ROOT,
  prose,
  rowsUnder,
  table,
  tables,
} from './support/readme/documents.ts'

const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as Manifest
const SERVER = 'src/server/README.md'
const PROTOCOL = 'src/protocol/README.md'

interface Manifest {
  readonly name: string
  readonly scripts: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>
}

describe('tables', () => {
  test('of options have each option in its section, and no other', () => {
    const sections = new Set(Object.values(OPTIONS).map(({ section }) => section))
    const shown = [...sections].flatMap((section) =>
      [...rowsUnder(SERVER, section), ...rowsUnder(PROTOCOL, section)].map(([name]) => [
        name,
        section,
      ]),
    )

    const expected = Object.entries(OPTIONS).map(([name, { section }]) => [name, section])
    expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(expected))
    expect(shown).toHaveLength(expected.length)
  })

  test.each([SERVER, 'README.md'])('of options in %s have the defaults', (document) => {
    const rows = table(document, 'option', 'default').map(([name = '', cell = '']) => [name, cell])
    const limits = rows.filter(([name = '']) => defaultOf(name) !== undefined)

    expect(rows.filter(([name = '']) => !Object.hasOwn(OPTIONS, name))).toEqual([])
    expect(limits.map(([name, cell = '']) => [name, parse(cell)])).toEqual(
      limits.map(([name = '']) => [name, defaultOf(name)]),
    )
  })

  test('of presets', () => {
    const rows = table(PROTOCOL, 'option', 'answers')

    for (const [index, statuses] of Object.values(PRESETS).entries()) {
      const shown = rows.map(([name, , ...values]) => [name, Number(values[index])])
      expect(shown).toEqual(Object.entries(statuses))
    }
  })

  test('of the client have each option, with its default', () => {
    const sources = ['options.ts', 'node.ts'].map((name) =>
      readFileSync(path.join(ROOT, 'src/client', name), 'utf8'),
    )
    const documented = [...sources.join('').matchAll(/^  readonly (\w+)\?:/gm)]
    const rows = table('src/client/README.md', 'option', 'default')

    expect(new Set(rows.map(([name]) => name))).toEqual(new Set(documented.map(([, name]) => name)))
    const shown = rows.filter(([name = '']) => name in CLIENT_DEFAULTS)
    expect(shown.map(([name = '', value = '']) => [name, parse(value)])).toEqual(
      shown.map(([name = '']) => [name, Reflect.get(CLIENT_DEFAULTS, name) as unknown]),
    )
  })

  test('of errors', () => {
    const errors = table(PROTOCOL, 'code', 'status').map(([code, status, meaning]) => [
      code,
      Number(status),
      meaning,
    ])

    expect(errors).toEqual(
      Object.entries(ERRORS).map(([code, [status, meaning]]) => [code, status, meaning]),
    )
  })
})

test('the documentation of each option in options.ts names its default', () => {
  const source = readFileSync(path.join(ROOT, 'src/options.ts'), 'utf8')
  const documented = [...source.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s*readonly (\w+)\??:/gs)].map(
    ([, comment = '', name = '']) => [name, /@default (.*)/.exec(comment)?.[1] ?? ''] as const,
  )

  expect(documented.map(([name]) => name).toSorted()).toEqual(Object.keys(OPTIONS).toSorted())
  const limits = documented.filter(([name]) => defaultOf(name) !== undefined)
  expect(limits.map(([name, text]) => [name, parse(text)])).toEqual(
    limits.map(([name]) => [name, defaultOf(name)]),
  )
})

test('no cell of a table has more than twelve words', () => {
  const cells = DOCUMENTS.flatMap(({ name, text }) =>
    tables(text).flatMap((rows) => rows.flatMap((row) => row.map((cell) => ({ name, cell })))),
  )

  expect(cells.filter(({ cell }) => cell.split(/\s+/).length > 12)).toEqual([])
})

describe('names', () => {
  test('of error codes exist', () => {
    const client = readFileSync(path.join(ROOT, 'src/client/error.ts'), 'utf8')
    const known = new Set([...Object.keys(ERRORS), ...(client.match(/\bERR_\w+/g) ?? [])])
    const named = DOCUMENTS.flatMap(({ text }) => text.match(/\bERR_\w+/g) ?? [])

    expect(named.filter((code) => !known.has(code))).toEqual([])
  })

  test('of files of the repository exist', () => {
    const folders = ['src', 'test', 'examples', 'bench', ...readdirSync(path.join(ROOT, 'src'))]
    const named = DOCUMENTS.flatMap(({ name, text }) =>
      [...prose(text).matchAll(/`([\w-]+)(\/[\w./-]*)`/g)]
        .filter(([, folder = '', rest = '']) => folders.includes(folder) && !rest.includes('NAME'))
        .map(([, folder = '', rest = '']) => ({ name, file: folder + rest })),
    )

    const missing = named.filter(
      ({ name, file }) =>
        !existsSync(path.join(ROOT, file)) &&
        !existsSync(path.join(ROOT, path.dirname(name), file)),
    )
    expect(missing).toEqual([])
    expect(named.length).toBeGreaterThan(50)
  })
})

test('every test that a README names by its title exists', () => {
  const named = DOCUMENTS.flatMap(({ text }) => [
    ...text.replace(/\s+/g, ' ').matchAll(/`(test\/[\w/.-]+\.test\.ts)`: "([^"]+)"/g),
  ])

  const missing = named.filter(
    ([, file = '', title = '']) => !readFileSync(path.join(ROOT, file), 'utf8').includes(title),
  )
  expect(missing.map(([line]) => line)).toEqual([])
  expect(named.length).toBeGreaterThan(6)
})

test('every link leads to a file and a heading', () => {
  const broken = LINKS.filter(({ file, heading }) => !hasHeading(file, heading))

  expect(broken).toEqual([])
})

describe('blocks', () => {
  test('are of languages that a test runs', () => {
    const languages = new Set(BLOCKS.map(({ language }) => language))

    expect([...languages].toSorted()).toEqual([
      'console',
      'http',
      'json',
      'nginx',
      'python',
      'sh',
      'ts',
      'tsx',
    ])
  })

  test('of commands name scripts, files and variables that exist', () => {
    const lines = BLOCKS.filter(({ language }) => language === 'sh').flatMap(({ code }) =>
      code.trimEnd().split('\n'),
    )

    const faults = lines.map((line) => [line, faultOf(line)])
    expect(faults.filter(([, fault]) => fault !== null)).toEqual([])
  })
})

describe('code', () => {
  test('of the first block is the quickstart', () => {
    const first = BLOCKS.find(({ language }) => language === 'ts')

    expect(first?.code).toBe(readFileSync(path.join(ROOT, 'examples/quickstart.ts'), 'utf8'))
  })

  test('is taken from examples', () => {
    const sources = ['examples', 'test/examples'].flatMap((folder) =>
      filesOf(folder).map((file) => unindent(readFileSync(file, 'utf8'))),
    )

    const excerpts = BLOCKS.filter(({ language }) => /^(tsx?|python)$/.test(language))
    const unknown = excerpts.filter(({ code }) => !sources.some((source) => isIn(source, code)))
    expect(unknown).toEqual([])
  })

  test('of each example that a README links to is run by a test', () => {
    const tests = filesOf('test').map((file) => readFileSync(file, 'utf8'))
    const examples = LINKS.map(({ file }) => file).filter((file) =>
      /^examples\/.*\.\w+$/.test(file),
    )
    const programs = new Set(examples.filter((file) => !/\.(md|png)$/.test(file)))

    const untested = [...programs].filter((file) => {
      const name = file.replace('examples/', '')
      return !tests.some((text) => text.includes(file) || text.includes(`'${name}'`))
    })
    expect(untested).toEqual([])
    expect(programs.size).toBeGreaterThan(10)
  })
})

/**
 * The value of an option that an app leaves out; undefined for a function or an object of the app.
 */
function defaultOf(name: string): unknown {
  const row = Object.entries(OPTIONS).find(([option]) => option === name)?.[1]
  const statuses: Readonly<Record<string, unknown>> = { ...PRESETS.seed }
  return row !== undefined && 'default' in row ? row.default : statuses[name]
}

function filesOf(folder: string): readonly string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(tsx?|py)$/.test(name))
    .map((name) => path.join(ROOT, folder, name))
}

/** Returns the fault of a command for a clone of this repository; null for none. */
function faultOf(command: string): string | null {
  const { scripts, name, peerDependencies, peerDependenciesMeta } = manifest
  const install = /^npm install (?:--no-save )?(.*)$/.exec(command)?.[1]
  if (install !== undefined) {
    const peers = Object.keys(peerDependencies).filter((peer) => !(peer in peerDependenciesMeta))
    const own = [name, ...peers]
    const ofApp = packagesOf('examples/app').filter((other) => !own.includes(other))
    const expected = install.startsWith(name) ? own : ofApp
    const isRight = install.split(' ').toSorted().join() === expected.toSorted().join()
    return isRight ? null : `expected ${expected.join(' ')}`
  }
  const script = /\bnpm (?:run )?(?!ci)([\w:]+)/.exec(command)?.[1]
  if (script !== undefined && !(script in scripts)) return `there is no script ${script}`
  const files = command.match(/\b(?:test|examples)\/[\w/.-]+/g) ?? []
  const missing = files.find((file) => !existsSync(path.join(ROOT, file)))
  if (missing !== undefined) return `there is no ${missing}`
  const code = files.map((file) => readFileSync(path.join(ROOT, file), 'utf8')).join('')
  const unread = command.match(/\b[A-Z_]+(?==)/g)?.find((variable) => !code.includes(variable))
  return unread === undefined ? null : `no file reads ${unread}`
}

/** The packages that the programs in a folder import. */
function packagesOf(folder: string): readonly string[] {
  const files = readdirSync(path.join(ROOT, folder)).filter((file) => file.endsWith('.ts'))
  const code = files.map((file) => readFileSync(path.join(ROOT, folder, file), 'utf8')).join('')
  const imports = [...code.matchAll(/ from '(?!node:|\.)((?:@[^/']+\/)?[^/']+)/g)]
  return [...new Set(imports.map(([, imported = '']) => imported))]
}

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

/** Whether the pieces of an excerpt, between lines of `// …`, are in the source in their order. */
function isIn(source: string, excerpt: string): boolean {
  let from = 0
  for (const piece of unindent(excerpt).split('// …\n')) {
    const index = source.indexOf(piece, from)
    if (index === -1) return false
    from = index + piece.length
  }
  return true
}

function unindent(code: string): string {
  return code
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
}
