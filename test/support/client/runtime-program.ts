/**
 * Uploads a file with `fetch` in another runtime than Node: `bun program.mjs KIND FILE URL`.
 * Prints, as JSON, whether the server had the file already, and the largest number of bytes that
 * progress has reported.
 */
import { readFile } from 'node:fs/promises'
import process from 'node:process'

import { upload, type Source } from '../../../src/client/index.ts'

const [kind, path = '', url = ''] = process.argv.slice(2)
const bytes = new Uint8Array(await readFile(path))
let sent = 0

const running = upload(url, sourceOf(kind), {
  minDelay: 1,
  maxDelay: 1,
  onProgress: (progress) => (sent = Math.max(sent, progress.sent)),
})
await running.done
const { status } = running
const isUnchanged = status.state === 'done' && status.isUnchanged
process.stdout.write(JSON.stringify({ isUnchanged, sent }))

/**
 * Makes a `File`, which has a name and a date, so that a later process resumes it, or a stream of
 * unknown length.
 */
function sourceOf(name: string | undefined): Source {
  if (name === 'stream') return new Blob([bytes]).stream()
  return new File([bytes], 'film.mp4', { lastModified: 1_700_000_000_000 })
}
