import { describe, expect, it } from 'vitest'

import { BEGUN, FINISHED } from '../../../src/storage/contract/check.ts'
import { parseRecord } from '../../../src/storage/s3/record.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import { smallStore } from '../../support/s3/small-store.ts'

const SEGMENT = 10_000

describe('an upload in many small segments', () => {
  it.each(['commit', 'keep'] as const)('has a short record after each %s', async (end) => {
    const bucket = new FakeBucket({ minPartSize: 65_536 })
    const content = Buffer.from(Array.from({ length: 100 * SEGMENT }, (_, index) => index % 251))

    for (let start = 0; start < content.length; start += SEGMENT) {
      const writer = await smallStore(bucket).openWriter('a', {
        transaction: 'persist',
        replace: false,
        initial: BEGUN,
      })
      await writer.write(start, [content.subarray(start, start + SEGMENT)])
      if (end === 'commit') await writer.commit(BEGUN)
      else await writer.keep()
    }

    const { record } = parseRecord(bucket.bytes('.partial-upload/r/files/a') ?? Buffer.alloc(0))
    // Without merging there are 50 of them.
    expect(record.content?.extents.length).toBeLessThan(16)
    const reader = await smallStore(bucket).openReader('a')
    const read: Uint8Array[] = []
    for await (const chunk of reader?.read(0, content.length) ?? []) read.push(chunk)
    expect(Buffer.concat(read).equals(content)).toBe(true)
    const last = await smallStore(bucket).openWriter('a', {
      transaction: 'persist',
      replace: false,
      initial: BEGUN,
    })
    expect(await last.commit(FINISHED)).toMatchObject({ size: content.length })
    expect(bucket.bytes('files/a')?.equals(content)).toBe(true)
  })
})
