/** A download that is printed: it goes on after a break, but can't begin again. */
import type { Destination, Version } from './download.ts'

/** The standard output. */
export class StandardOutput implements Destination {
  version: Version | null = null
  position = 0

  /** @throws Error if something is printed already. */
  async begin(version: Version): Promise<void> {
    if (this.position > 0) throw new Error('the download broke, and what is printed is printed')
    this.version = version
  }

  rewind(position: number): void {
    this.position = position
  }

  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
    this.position += bytes.byteLength
  }
}
