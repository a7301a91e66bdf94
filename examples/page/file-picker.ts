/** The files that a person chooses or drops. */

/** A file, and the path that it shall have on the server. */
export interface Chosen {
  readonly key: string
  readonly file: File
}

/** The files of an input; of a folder, with their paths in it. */
export function chosenFiles(files: Iterable<File>): readonly Chosen[] {
  return Array.from(files, (file) => ({
    key: file.webkitRelativePath === '' ? file.name : file.webkitRelativePath,
    file,
  }))
}

/** The files of a drop, and those in the folders of a drop. To be called before the event is over. */
export async function droppedFiles({ items }: DataTransfer): Promise<readonly Chosen[]> {
  const found = Array.from(items, async (item) => {
    const entry = item.webkitGetAsEntry()
    const file = item.getAsFile()
    if (entry !== null) return readEntry(entry)
    return file === null ? [] : chosenFiles([file])
  })
  return (await Promise.all(found)).flat()
}

/** The address of a path. Half of a character pair, which some systems allow in names, has none. */
export function urlOf(key: string): string {
  const segments = key.replace(/\p{Surrogate}/gu, '\ufffd').split('/')
  return new URL(`files/${segments.map(encodeURIComponent).join('/')}`, location.href).href
}

/** `film (2).mp4` for `film.mp4`. */
export function numbered(key: string, number: number): string {
  const [, stem = key, ending = ''] = /^(.*[^/])(\.[^./]+)$/.exec(key) ?? []
  return `${stem} (${number})${ending}`
}

async function readEntry(entry: FileSystemEntry): Promise<readonly Chosen[]> {
  const key = entry.fullPath.replace(/^\//, '')
  if (isFile(entry)) return [{ key, file: await fileOf(entry) }]
  if (!isFolder(entry)) return []
  const children: FileSystemEntry[] = []
  const reader = entry.createReader()
  // A reader gives a hundred at a time.
  for (let some = await readSome(reader); some.length > 0; some = await readSome(reader)) {
    children.push(...some)
  }
  return (await Promise.all(children.map(readEntry))).flat()
}

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
