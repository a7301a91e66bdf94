/**
 * `npm run s3 -- unpack` makes the engines ready, and `npm run s3 -- rgw` or `moto` starts one
 * until Ctrl-C. It prints the variables that the AWS tools, `npm start -- --s3` and the tests read.
 */
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { CreateBucketCommand } from '@aws-sdk/client-s3'

import { CREDENTIALS, FOLDER, NO_ENGINE, newClient, startEngine } from './engine-process.ts'

const { values, positionals } = parseArgs({
  options: {
    port: { type: 'string', default: '4566' },
    bucket: { type: 'string', default: 'uploads' },
  },
  allowPositionals: true,
})
const [verb] = positionals

if (verb === 'unpack') {
  const script = path.join(import.meta.dirname, 'engine.sh')
  process.exitCode = spawnSync('bash', [script, 'unpack', FOLDER], { stdio: 'inherit' }).status ?? 1
} else if (verb === 'rgw' || verb === 'moto') {
  if (NO_ENGINE !== null) throw new Error(NO_ENGINE)
  const { endpoint } = await startEngine(verb, Number(values.port))
  const client = newClient(endpoint)
  await client.send(new CreateBucketCommand({ Bucket: values.bucket }))
  console.log(`export AWS_ACCESS_KEY_ID=${CREDENTIALS.accessKeyId}`)
  console.log(`export AWS_SECRET_ACCESS_KEY=${CREDENTIALS.secretAccessKey}`)
  console.log('export AWS_REGION=us-east-1')
  console.log(`# npm start -- --s3 ${values.bucket} --endpoint ${endpoint}`)
} else {
  console.error('usage: npm run s3 -- unpack | rgw | moto [--port N] [--bucket NAME]')
  process.exitCode = 2
}
