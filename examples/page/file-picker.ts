/** Reads the files that the user chooses or drops, and decides on their paths and URLs. */

/** A file, and its path on the server. */
export interface Chosen {
  readonly key: string
  readonly file: File
}

/** Returns the files of an input. The path of a file in a chosen folder includes the folder. */
export function chosenFiles(files: Iterable<File>): readonly Chosen[] {
  return Array.from(files, (file) => ({
    // The property is empty for a file that was not chosen as a part of a folder.
    key: file.webkitRelativePath === '' ? file.name : file.webkitRelativePath,
    file,
  }))
}

/**
 * Returns the dropped files, and those in dropped folders. It must be called while the event is
 * dispatched, because the browser clears the items after that.
 */
export async function droppedFiles({ items }: DataTransfer): Promise<readonly Chosen[]> {
  const found = Array.from(items, async (item) => {
    // Only an entry shows that a folder was dropped. It may be null for a file without a path.
    const entry = item.webkitGetAsEntry()
    const file = item.getAsFile()
    if (entry !== null) return readEntry(entry)
    return file === null ? [] : chosenFiles([file])
  })
  return (await Promise.all(found)).flat()
}

/**
 * Returns the URL of a path. Some systems allow half a surrogate pair in a name, which can't be encoded
 * and is replaced.
 */
export function urlOf(key: string): string {
  const segments = key.replace(/\p{Surrogate}/gu, '\ufffd').split('/')
  return new URL(`files/${segments.map(encodeURIComponent).join('/')}`, location.href).href
}

/**
 * Adds a number to a name, before its extension: `film (2).mp4` for `film.mp4`. A dot at the start of a
 * name, as in `.profile`, does not begin an extension.
 */
export function numbered(key: string, number: number): string {
  const [, stem = key, ending = ''] = /^(.*[^/])(\.[^./]+)$/.exec(key) ?? []
  return `${stem} (${number})${ending}`
}

/** Returns the files of a dropped entry: the file itself, or all files in the folder. */
async function readEntry(entry: FileSystemEntry): Promise<readonly Chosen[]> {
  const key = entry.fullPath.replace(/^\//, '')
  if (isFile(entry)) return [{ key, file: await fileOf(entry) }]
  if (!isFolder(entry)) return []
  const children: FileSystemEntry[] = []
  const reader = entry.createReader()
  // A reader returns at most 100 entries at a time, and none at the end.
  for (let some = await readSome(reader); some.length > 0; some = await readSome(reader)) {
    children.push(...some)
  }
  return (await Promise.all(children.map(readEntry))).flat()
}

// TypeScript can't narrow the type of an entry by its own properties, so that these two functions do.
function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject))
}

function readSome(reader: FileSystemDirectoryReader): Promise<readonly FileSystemEntry[]> {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject))
}
