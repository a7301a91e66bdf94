/**
 * What several commands need of the client: its platform, its options, and the proof of equal
 * bytes.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

import type { RequestOptions } from '../client/options.ts'
import { find, WANT_DIGEST, type Found } from '../client/resource.ts'
import { DEFAULTS } from '../client/settings.ts'
import { nodeTransport } from '../client/transport/node.ts'
import type { Platform } from '../client/transport/transport.ts'
import { withRetries } from '../client/with-retries.ts'

import { withPace, type Pace } from './pace.ts'
import type { Target } from './target-options.ts'

/** Returns the functions of Node for the client, whose content is sent at the pace. */
export function platformOf(pace: Pace | null = null): Platform {
  return {
    transport: withPace(nodeTransport(), pace),
    createHash: () => createHash('sha256'),
  }
}

/** Returns the options of the client for the requests of a command. */
export function requestOptions(
  { headers, retries, wait, timeout }: Target,
  signal: AbortSignal,
): RequestOptions {
  return {
    headers,
    retries,
    waitForServer: wait,
    stallTimeout: timeout,
    // A server that verifies a large file is silent for long. `--timeout` can only give it more
    // time.
    answerTimeout: timeout === 0 ? 0 : Math.max(timeout, DEFAULTS.answerTimeout),
    signal,
  }
}

/**
 * Asks for the state of a resource, with the SHA-256 of its bytes; null if it does not exist. The
 * server may have to read the whole file for that.
 *
 * @throws ClientError
 */
export async function findWithDigest(
  url: string | URL,
  target: Target,
  signal: AbortSignal,
): Promise<Found | null> {
  return withRetries(url, requestOptions(target, signal), platformOf(), async (connection) =>
    find(connection, WANT_DIGEST),
  )
}

/** Returns the SHA-256 of a local file, in the form in which a server reports it. */
export async function digestOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  // A stream reads 64 KiB at a time, so that the memory does not grow with the size of the file.
  const bytes: AsyncIterable<Buffer> = createReadStream(path, { signal })
  for await (const chunk of bytes) hash.update(chunk)
  return `sha-256=:${hash.digest('base64')}:`
}

/** Converts a digest from the form of a header field to hexadecimal, as `sha256sum` prints it. */
export function toHex(digest: string): string {
  return Buffer.from(digest.slice('sha-256=:'.length, -1), 'base64').toString('hex')
}
