/**
 * Presigns a URL as `getSignedUrl` of `@aws-sdk/s3-request-presigner` does (Signature Version 4),
 * for path-style buckets.
 */
import { createHash, createHmac } from 'node:crypto'

import type { GetObjectCommand } from '@aws-sdk/client-s3'

import { CREDENTIALS } from './engine-process.ts'

const SCOPE = 'us-east-1/s3/aws4_request'

/** Returns a URL under which anyone can make the request for five minutes. */
export function presign(endpoint: string, { input }: GetObjectCommand): string {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const day = time.slice(0, 8)
  const path = `/${input.Bucket}/${(input.Key ?? '').split('/').map(encoded).join('/')}`
  const members: Readonly<Record<string, string | undefined>> = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${CREDENTIALS.accessKeyId}/${day}/${SCOPE}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': '300',
    'X-Amz-SignedHeaders': 'host',
    'response-cache-control': input.ResponseCacheControl,
    'response-content-disposition': input.ResponseContentDisposition,
    'response-content-type': input.ResponseContentType,
    versionId: input.VersionId,
  }
  const query = Object.entries(members)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${encoded(name)}=${encoded(value)}`]))
    .join('&')
  const { host } = new URL(endpoint)
  const request = ['GET', path, query, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n')
  const hash = createHash('sha256').update(request).digest('hex')
  const text = ['AWS4-HMAC-SHA256', time, `${day}/${SCOPE}`, hash].join('\n')
  const key = [day, ...SCOPE.split('/')].reduce(
    (secret: string | Buffer, part) => hmac(secret, part),
    `AWS4${CREDENTIALS.secretAccessKey}`,
  )
  return `${endpoint}${path}?${query}&X-Amz-Signature=${hmac(key, text).toString('hex')}`
}

function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
