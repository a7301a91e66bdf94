/** Where a download is written to: a file, or the standard output. */

/** The version of a resource that is downloaded. */
export interface Version {
  /**
   * Strong entity tag. Null if the server sends none, in which case the download can't be resumed.
   */
  readonly etag: string | null
  /** Length in bytes; null if the server does not send it. */
  readonly size: number | null
}

/** Where a download is written to. */
export interface Destination {
  /** The version that the written bytes belong to; null if they can't be continued. */
  readonly version: Version | null
  /** Number of bytes that were written, and position of the next one. */
  readonly position: number
  /** Discards what was written, and starts with the first byte of a version. */
  begin(version: Version): Promise<void>
  /** Sets the position. The next bytes overwrite those after it. */
  rewind(position: number): void
  /** Writes bytes at the position, and moves it behind them. */
  write(bytes: Uint8Array): Promise<void>
  /** Returns the SHA-256 of all bytes before the position, as `sha-256=:…:`. */
  digest(): Promise<string>
  /** Discards the bytes, because their digest is wrong. */
  discard(): Promise<void>
}
