/** Checks the key that a path is mapped to: it names one resource, and stays below the root. */
import assert from 'node:assert/strict'
import path from 'node:path'

import { UploadError } from '../../src/errors.ts'
import { keyOfPath, keySegments } from '../../src/storage/key.ts'

const ROOT = '/root/of/all'

/** Checks the path of a URL. Returns the key, null if it is refused. */
export function checkKey(urlPath: string): string | null {
  const key = attempt(() => {
    const found = keyOfPath(urlPath)
    keySegments(found)
    return found
  })
  if (key === null) return null
  const segments = keySegments(key)
  assert.equal(segments.join('/'), key)
  const file = path.join(ROOT, ...segments)
  assert.equal(file, `${ROOT}/${key}`, 'no segment is taken for anything but a name')
  for (const segment of segments) {
    assert(!['', '.', '..'].includes(segment) && !/[/\\]/.test(segment))
    assert(!/[^ -~\x80-\u{10ffff}]/u.test(segment), 'no control character')
    assert.equal(Buffer.from(segment).toString(), segment, 'the name has one form in UTF-8')
  }
  // The key is encoded and decoded again, and must stay the same, so that two resources never share
  // a key.
  assert.equal(keyOfPath(`/${segments.map(encodeURIComponent).join('/')}`), key)
  return key
}

function attempt<T>(parse: () => T): T | null {
  try {
    return parse()
  } catch (error) {
    if (error instanceof UploadError && error.code === 'ERR_KEY') return null
    throw error
  }
}
