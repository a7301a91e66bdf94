/** The server-side encryption that requests to the store ask for. */
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'

import { S3Client } from '@aws-sdk/client-s3'
import { expect, it } from 'vitest'

import { awsBucket } from '../../../src/storage/s3/bucket-aws.ts'
import { portOf, stop } from '../../support/examples/serve.ts'

it('is named by each request that begins an object', async () => {
  const seen: IncomingHttpHeaders[] = []
  const server = createServer((req, res) => {
    seen.push(req.headers)
    req.resume().on('end', () => {
      const isMultipart = req.method === 'POST'
      res.setHeader('ETag', '"1"')
      res.end(isMultipart ? '<R><UploadId>u</UploadId></R>' : '')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = new S3Client({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${portOf(server)}`,
    forcePathStyle: true,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  })
  const sse = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'key' } as const
  const bucket = awsBucket({ client, bucket: 'b', sse })

  await bucket.put('a', [Buffer.from('a')])
  await bucket.createMultipart('a', { contentType: null, contentDisposition: null, metadata: {} })
  client.destroy()
  await stop(server)

  const encryption = seen.map((headers) => [
    headers['x-amz-server-side-encryption'],
    headers['x-amz-server-side-encryption-aws-kms-key-id'],
  ])
  expect(encryption).toEqual([
    ['aws:kms', 'key'],
    ['aws:kms', 'key'],
  ])
})
