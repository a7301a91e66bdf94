/** Deletes data objects when no reader needs them any more. */
import type { S3Context } from './context.ts'
import type { Piece } from './pieces.ts'

/**
 * Deletes data objects that no record names any more after `readerAge`, because readers of the
 * upload, in this and in other processes, may still be reading them. If this process ends before
 * that, the sweep deletes them.
 */
export function deleteLater({ bucket, limits }: S3Context, pieces: readonly Piece[]): void {
  const names = new Set(pieces.flatMap((piece) => (piece.kind === 'data' ? [piece.name] : [])))
  if (names.size === 0) return
  const run = async (): Promise<void> => {
    for (const name of names) await bucket.delete(name).catch(() => undefined)
  }
  setTimeout(() => void run(), limits.readerAge).unref()
}
