/** The corpus in the repository: text files with an input in each line, as a JSON string. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

const FOLDER = path.join(import.meta.dirname, 'corpus')

/** The inputs of a corpus. */
export async function readCorpus(name: string): Promise<readonly Buffer[]> {
  const text = await readFile(path.join(FOLDER, `${name}.jsonl`), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Buffer.from(JSON.parse(line) as string, 'latin1'))
}

/** Writes the inputs to a folder, one file for each, because libFuzzer reads them in this form. */
export async function unpackCorpus(name: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [index, input] of (await readCorpus(name)).entries()) {
    await writeFile(path.join(folder, `seed-${index}`), input)
  }
}

/** Replaces the corpus by these inputs. */
export async function writeCorpus(name: string, inputs: readonly Buffer[]): Promise<void> {
  const lines = inputs.map((input) => {
    const line = JSON.stringify(input.toString('latin1'))
    // Escape characters that an editor might change or hide.
    return line.replace(/[\x7f-\xff]/g, (character) => {
      return `\\u00${character.charCodeAt(0).toString(16)}`
    })
  })
  await writeFile(path.join(FOLDER, `${name}.jsonl`), lines.map((line) => `${line}\n`).join(''))
}
