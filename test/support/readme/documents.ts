/** The READMEs of the repository as values: their blocks, tables and links. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** Every README, by its path in the repository. */
export const DOCUMENTS = [
  'README.md',
  'src/README.md',
  'src/server/README.md',
  'src/server/PROXIES.md',
  'src/protocol/README.md',
  'src/storage/README.md',
  'src/client/README.md',
  'src/cli/README.md',
  'examples/README.md',
  'test/README.md',
  'test/faults/README.md',
  'bench/README.md',
].map(readDocument)

/** One README. */
export interface Document {
  /** Path in the repository. */
  readonly name: string
  readonly text: string
  readonly blocks: readonly Block[]
}

/** One fenced block. */
export interface Block {
  /** Path of the README that shows it. */
  readonly document: string
  readonly language: string
  readonly code: string
}

/** All fenced blocks, in the order of `DOCUMENTS`. */
export const BLOCKS: readonly Block[] = DOCUMENTS.flatMap(({ blocks }) => blocks)

/** The code of the only block of a language that contains these words. */
export function blockWith(language: string, words: string): string {
  const found = BLOCKS.filter((block) => block.language === language && block.code.includes(words))
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${language} with "${words}"`)
  return found[0]?.code ?? ''
}

/** The rows of all tables of a README whose header begins with these cells, without backticks. */
export function table(document: string, ...header: readonly string[]): readonly string[][] {
  const { text = '' } = DOCUMENTS.find(({ name }) => name === document) ?? {}
  const found = tables(text).filter(([titles]) =>
    header.every((cell, index) => titles?.[index] === cell),
  )
  if (found.length === 0) throw new Error(`${document} has no table of ${header.join(', ')}`)
  return found.flatMap(([, ...rows]) => rows)
}

/** The rows of the tables that stand directly under a heading of a README; empty without it. */
export function rowsUnder(document: string, heading: string): readonly string[][] {
  const { text = '' } = DOCUMENTS.find(({ name }) => name === document) ?? {}
  const section = prose(text)
    .split(/^#+ /m)
    .find((part) => part.startsWith(`${heading}\n`))
  return tables(section ?? '').flatMap(([, ...rows]) => rows)
}

/** The tables of a text: of each its header and its rows. */
export function tables(text: string): readonly (readonly string[][])[] {
  const found = text.matchAll(/^(?:\|.*\n)+/gm)
  return [...found].map(([lines]) => {
    const rows = lines.trimEnd().split('\n').map(cells)
    return rows.filter((_, index) => index !== 1)
  })
}

/** The text without its fenced blocks. */
export function prose(text: string): string {
  return text.replace(/^```.*?^```$/gms, '')
}

/** A link to a file or a heading of the repository. */
export interface Link {
  /** The README that has it. */
  readonly document: string
  /** Path of its target in the repository. */
  readonly file: string
  /** The fragment; empty for the whole file. */
  readonly heading: string
}

/** The links of all READMEs, except those to other sites. */
export const LINKS: readonly Link[] = DOCUMENTS.flatMap(({ name, text }) =>
  [...prose(text).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, target = '']) => {
    const [relative = '', heading = ''] = target.split('#')
    const file = relative === '' ? name : path.posix.join(path.posix.dirname(name), relative)
    return { document: name, file, heading }
  }),
)

function readDocument(name: string): Document {
  const text = readFileSync(path.join(ROOT, name), 'utf8')
  const fenced = [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
  const blocks = fenced.map(([, language = '', code = '']) => ({ document: name, language, code }))
  return { name, text, blocks }
}

function cells(line: string): string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''))
}
