/**
 * A download to the standard output. It can continue after a broken connection. It can't start
 * over, because another program has already read the bytes.
 */
import { createHash } from 'node:crypto'

import type { Destination, Version } from './destination.ts'

/** The standard output as the destination of a download. */
export class StandardOutput implements Destination {
  readonly #hash = createHash('sha256')
  version: Version | null = null
  position = 0

  /**
   * Starts with the first byte of a version.
   *
   * @throws Error if bytes were already printed, which the new ones would not continue.
   */
  async begin(version: Version): Promise<void> {
    if (this.position > 0)
      throw new Error(
        'the download can not be resumed, and the bytes printed so far are not the whole file; run the command again',
      )
    this.version = version
  }

  /**
   * Sets the position. A download calls this before it repeats a request, with the position of the
   * next byte.
   */
  rewind(position: number): void {
    this.position = position
  }

  /** Returns the SHA-256 of all printed bytes, as `sha-256=:…:`. */
  async digest(): Promise<string> {
    return `sha-256=:${this.#hash.copy().digest('base64')}:`
  }

  /**
   * Does nothing, because printed bytes can't be taken back. The exit code of the command shows the
   * failure.
   */
  async discard(): Promise<void> {}

  /** Prints bytes, and resolves when the program that reads them has made room for more. */
  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
    this.#hash.update(bytes)
    this.position += bytes.byteLength
  }
}
