import { beforeAll, describe, test } from 'vitest'

import { awsBucket } from '../../src/storage/s3/bucket-aws.ts'
import type { Bucket } from '../../src/storage/s3/bucket.ts'
import { title } from '../support/faults/server.ts'
import { bucketContract, checkedWith } from '../support/s3/bucket-contract.ts'
import { ENGINES, LONGEST_START } from '../support/s3/engines.ts'

/**
 * The checks that are skipped on moto 5.2, because it ignores `If-Match` of
 * CompleteMultipartUpload.
 */
const LACKING: Readonly<Record<string, readonly string[]>> = {
  moto: ['completes a multipart upload only if its condition holds'],
}

describe.each(ENGINES)('the bucket on $name', ({ name, missing, partSize, open }) => {
  let bucket: Bucket
  beforeAll(async () => {
    if (missing !== null) return
    const engine = await open()
    bucket = awsBucket({ client: engine.newClient(), bucket: engine.bucket })
  }, LONGEST_START)

  for (const { name: check, run } of bucketContract) {
    const lacks = LACKING[name]?.includes(check) === true ? `${name} can't` : null
    test.skipIf(missing !== null || lacks !== null)(title(check, missing, lacks), async () => {
      await run(checkedWith(bucket, partSize))
    })
  }
})
