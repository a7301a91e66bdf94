/** The tables of the app: users with their passwords, and a row for each file. */

import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'

import Database from 'better-sqlite3'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, salt BLOB, hash BLOB);
  CREATE TABLE IF NOT EXISTS files (
    key TEXT PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT, type TEXT, thumbnail BLOB
  );
`

/** A file that was published. */
export interface FileRow {
  readonly key: string
  readonly owner: string
  readonly size: number
  readonly etag: string
  readonly type: string | null
  /** An image in WebP; null if the file has none. */
  readonly thumbnail: Buffer | null
}

interface UserRow {
  readonly salt: Buffer
  readonly hash: Buffer
}

export type Tables = ReturnType<typeof openTables>

/** Opens the database at `path`, and creates it when it is missing. */
export function openTables(path: string) {
  const db = new Database(path)
  db.exec(SCHEMA)
  // Rows of files that an earlier process has counted and not published. `onPublished` runs again for those that a
  // crash has separated from their row.
  db.exec('DELETE FROM files WHERE etag IS NULL')
  const saveUser = db.prepare('INSERT OR REPLACE INTO users VALUES (?, ?, ?)')
  const findUser = db.prepare<[string], UserRow>('SELECT salt, hash FROM users WHERE name = ?')
  const sumOthers = db.prepare<[string, string], { bytes: number }>(
    'SELECT coalesce(sum(size), 0) AS bytes FROM files WHERE owner = ? AND key <> ?',
  )
  const reserveRow = db.prepare(`INSERT INTO files (key, owner, size) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET size = excluded.size`)
  const saveRow = db.prepare<[FileRow]>(`INSERT OR REPLACE INTO files
    VALUES (@key, @owner, @size, @etag, @type, @thumbnail)`)
  const removeRow = db.prepare('DELETE FROM files WHERE key = ?')
  const findRow = db.prepare<[string], FileRow>('SELECT * FROM files WHERE key = ?')
  const listRows = db.prepare<[string], FileRow>(
    'SELECT * FROM files WHERE owner = ? AND etag IS NOT NULL ORDER BY key',
  )
  const bytesBeside = (owner: string, key: string) => sumOthers.get(owner, key)?.bytes ?? 0

  return {
    addUser(name: string, password: string): void {
      // The name becomes a folder.
      if (!/^[a-z0-9-]+$/.test(name)) throw new TypeError('a name has a to z, 0 to 9 and -')
      const salt = randomBytes(16)
      saveUser.run(name, salt, scryptSync(password, salt, 32))
    },
    isPassword(name: string, password: string): boolean {
      const user = findUser.get(name)
      return user !== undefined && timingSafeEqual(user.hash, scryptSync(password, user.salt, 32))
    },
    /** Bytes that the user has in all files but this one. */
    bytesBeside,
    /**
     * Counts the file unless the user would exceed `quota`; false if so. The calls are synchronous, so that two
     * files can't both take the last bytes. A file that is not published after all is counted until it is sent again
     * or the app starts again.
     */
    reserve(owner: string, key: string, size: number, quota: number): boolean {
      if (bytesBeside(owner, key) + size > quota) return false
      reserveRow.run(key, owner, size)
      return true
    },
    save: (row: FileRow) => void saveRow.run(row),
    remove: (key: string) => void removeRow.run(key),
    find: (key: string) => findRow.get(key),
    list: (owner: string) => listRows.all(owner),
    close: () => void db.close(),
  }
}
