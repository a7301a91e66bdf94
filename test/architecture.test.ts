import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, test } from 'vitest'

/**
 * Layer → the layers that it may import. A layer is a file of `src` or a folder; `media/part` and
 * `storage/adapter` hold only types and are layers of their own.
 */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  delays: [],
  'media/part': [],
  'storage/adapter': [],
  'storage/lock': ['errors'],
  'storage/key': ['errors'],
  hooks: ['errors', 'storage/adapter'],
  options: ['hooks', 'storage/adapter', 'storage/lock'],
  settings: ['delays', 'options'],
  fields: ['errors', 'media/part', 'storage/adapter'],
  media: ['errors', 'fields', 'media/part'],
  storage: [
    'delays',
    'errors',
    'storage/adapter',
    'storage/key',
    'storage/lock',
    'storage/s3/bucket-aws',
  ],
  // The only files that import the AWS SDK.
  'storage/s3/aws-client': [],
  'storage/s3/bucket-aws': ['storage', 'storage/s3/aws-client'],
  protocol: [
    'delays',
    'errors',
    'fields',
    'hooks',
    'media',
    'media/part',
    'options',
    'protocol/transition',
    'settings',
    'storage/adapter',
    'storage/lock',
  ],
  'protocol/transition': ['errors', 'media/part', 'storage/adapter'],
  server: [
    'errors',
    'fields',
    'hooks',
    'options',
    'protocol',
    'settings',
    'storage/adapter',
    'storage/key',
    'storage/lock',
  ],
  client: [],
  'client/node': ['client', 'client/source/node', 'client/transport/node'],
  'client/source/node': ['client'],
  'client/transport/node': ['client'],
  react: ['client'],
  uppy: ['client'],
  cli: ['client', 'client/node', 'client/source/node', 'client/transport/node'],
  index: ['errors', 'hooks', 'options', 'server', 'settings', 'storage/adapter', 'storage/lock'],
}

/** The layers that import from Node; all others run on every JavaScript platform. */
const NODE_LAYERS = [
  'cli',
  'client/node',
  'client/source/node',
  'client/transport/node',
  'protocol',
  'server',
  'storage',
  'storage/s3/bucket-aws',
]

/** Layer → the packages that it may import. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  cli: ['mime'],
  fields: ['mime', 'range-parser'],
  react: ['react'],
  uppy: ['@uppy/core'],
  // Only the types of Express.
  server: ['express', 'raw-body'],
  'storage/s3/aws-client': ['@aws-sdk/client-s3'],
  'storage/s3/bucket-aws': ['@aws-sdk/client-s3'],
}

interface SourceFile {
  /** Path below `src`, without the ending. */
  readonly name: string
  readonly layer: string
  /** The code without comments. */
  readonly code: string
  /** Specifiers of all imports and re-exports, of types too. */
  readonly imports: readonly string[]
}

const files = readSource(fileURLToPath(new URL('../src', import.meta.url)))

describe('the layers of src', () => {
  test('are the ones in the table', () => {
    const layers = new Set(files.map(({ layer }) => layer))

    expect([...layers].toSorted()).toEqual(Object.keys(LAYERS).toSorted())
  })

  test('import only the layers that the table allows', () => {
    const strangers = files.flatMap(({ name, layer, imports }) =>
      localImports(name, imports)
        .filter((target) => layerOf(target) !== layer)
        .filter((target) => !LAYERS[layer]?.includes(layerOf(target)))
        .map((target) => `${name} → ${target}`),
    )

    expect(strangers).toEqual([])
  })

  test('import only the packages that the table allows', () => {
    const strangers = files.flatMap(({ name, layer, imports }) =>
      imports
        .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
        .filter((specifier) => !PACKAGES[layer]?.includes(specifier))
        .map((specifier) => `${name} → ${specifier}`),
    )

    expect(strangers).toEqual([])
  })

  test('use Node only around the parsers and the rules', () => {
    const users = files
      .filter(({ layer }) => !NODE_LAYERS.includes(layer))
      .filter(
        ({ code, imports }) =>
          imports.some((specifier) => specifier.startsWith('node:')) ||
          /\b(Buffer|process|setImmediate)\b/.test(code),
      )

    expect(users.map(({ name }) => name)).toEqual([])
  })
})

describe('the files of src', () => {
  test('import each other without a cycle', () => {
    expect(findCycle(files)).toBeNull()
  })

  test('have no default export', () => {
    const exporters = files.filter(({ code }) => /\bexport\s+default\b|\bas\s+default\b/.test(code))

    expect(exporters.map(({ name }) => name)).toEqual([])
  })

  test('are read with all their imports', () => {
    expect(
      importsOf("import 'a'\nimport type { B } from 'b'\nexport {\n  c,\n} from './c.ts'"),
    ).toEqual(['a', 'b', './c.ts'])
    expect(importsOf("type D = import('d').D\nconst e = await import('e')")).toEqual(['d', 'e'])
    expect(importsOf("import f, {\n  g,\n} from 'g'\nconst text = x.from('h')")).toEqual(['g'])
    expect(withoutComments("a // import 'b'\n/* c\n */ d")).toBe('a \n d')
    expect(withoutComments('\'a//b\' /* "c" */ + `//d`')).toBe("'a//b'  + `//d`")
  })
})

function readSource(root: string): readonly SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const name = file.replaceAll(path.sep, '/').replace(/\.ts$/, '')
      const code = withoutComments(readFileSync(path.join(root, file), 'utf8'))
      return { name, layer: layerOf(name), code, imports: importsOf(code) }
    })
}

function layerOf(name: string): string {
  if (name in LAYERS) return name
  return name.split('/')[0] ?? name
}

/** Removes comments. Strings are kept, because they may contain `//`. */
function withoutComments(code: string): string {
  return code.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\*[^]*?\*\/|\/\/.*/g,
    (_match, text: string | undefined) => text ?? '',
  )
}

function importsOf(code: string): readonly string[] {
  const statement = /^(?:import|export)\b(?:[^'"`;=]*?\bfrom)?\s*'([^']+)'/gm
  const expression = /\bimport\('([^']+)'\)/g
  return [statement, expression].flatMap((pattern) =>
    [...code.matchAll(pattern)].map(([, specifier = '']) => specifier),
  )
}

function localImports(name: string, imports: readonly string[]): readonly string[] {
  return imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => path.posix.join(path.posix.dirname(name), specifier).replace(/\.ts$/, ''))
}

/** The names along a cycle; null if there is none. */
function findCycle(all: readonly SourceFile[]): readonly string[] | null {
  const targets = new Map(all.map(({ name, imports }) => [name, localImports(name, imports)]))
  const done = new Set<string>()
  const visit = (name: string, trail: readonly string[]): readonly string[] | null => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name]
    if (done.has(name)) return null
    for (const target of targets.get(name) ?? []) {
      const cycle = visit(target, [...trail, name])
      if (cycle !== null) return cycle
    }
    done.add(name)
    return null
  }
  for (const { name } of all) {
    const cycle = visit(name, [])
    if (cycle !== null) return cycle
  }
  return null
}
