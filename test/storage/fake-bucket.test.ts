import { describe, test } from 'vitest'

import { bucketContract, checkedWith } from '../support/s3/bucket-contract.ts'
import { FakeBucket } from '../support/s3/fake-bucket.ts'

describe.each([
  ['unversioned', false],
  ['versioned', true],
])('the bucket in memory, %s,', (_name, versioned) => {
  test.each(bucketContract)('$name', async ({ run }) => {
    await run(checkedWith(new FakeBucket({ minPartSize: 1000, versioned }), 1001))
  })
})
