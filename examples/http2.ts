/**
 * Uploads over HTTP/2 without a framework.
 *
 * Run: `npx tsx http2.ts`, or with TLS `KEY=key.pem CERT=cert.pem npx tsx http2.ts`. It listens at port
 * 3000 of 127.0.0.1 and prints nothing. Then `curl --http2-prior-knowledge -T FILE
 * http://127.0.0.1:3000/FILE` uploads a file. Browsers use HTTP/2 only over TLS.
 */

import { readFileSync } from 'node:fs'
import {
  createSecureServer,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type SecureServerOptions,
} from 'node:http2'

import { partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

export function createUploadServer(storage: StorageAdapter, tls: SecureServerOptions | null) {
  const uploads = partialUpload({ storage })
  const onRequest = (req: Http2ServerRequest, res: Http2ServerResponse) => {
    uploads(req, res, (error) => {
      if (error !== undefined) console.error(error)
      res.writeHead(error === undefined ? 404 : 500).end()
    })
  }
  return prepareServer(
    tls === null
      ? createServer(onRequest)
      : createSecureServer({ ...tls, allowHTTP1: true }, onRequest),
  )
}

if (process.argv[1] === import.meta.filename) {
  const { KEY, CERT } = process.env
  const tls = KEY && CERT ? { key: readFileSync(KEY), cert: readFileSync(CERT) } : null
  createUploadServer(fsStorage({ directory: './uploads' }), tls).listen(3000, '127.0.0.1')
}
