/** A download to the standard output. It can resume after a broken connection, but not start over. */
import { createHash } from 'node:crypto'

import type { Destination, Version } from './download.ts'

/** The standard output. */
export class StandardOutput implements Destination {
  readonly #hash = createHash('sha256')
  version: Version | null = null
  position = 0

  /** @throws Error if bytes of another version are printed already. */
  async begin(version: Version): Promise<void> {
    if (this.position > 0)
      throw new Error(
        'the download can not be resumed, and the bytes printed so far are not the whole file; run the command again',
      )
    this.version = version
  }

  rewind(position: number): void {
    this.position = position
  }

  async digest(): Promise<string> {
    return `sha-256=:${this.#hash.copy().digest('base64')}:`
  }

  /** Does nothing: what is printed can't be taken back, and the exit code is not 0. */
  async discard(): Promise<void> {}

  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
    this.#hash.update(bytes)
    this.position += bytes.byteLength
  }
}
