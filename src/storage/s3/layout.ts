/**
 * Names the objects of a storage. With the app's prefix P and the internal prefix I, a key has its
 * finished object at `P<key>`, its record at `Ir/P<key>`, and its data objects, which hold the
 * bytes of an upload, at `Id/P<folder>/<uuid>`. A state that is too long for the metadata of the
 * finished object is at `Im/P<key>/<version>`.
 */
import { invalidKey, keySegments } from '../key.ts'

/**
 * Largest number of bytes of a key in UTF-8. S3 allows 1024 for the name of an object, of which the
 * prefixes need some.
 */
const MAX_KEY_LENGTH = 900

/** The names in one bucket. */
export interface Layout {
  /** Name of the finished object. Throws `ERR_KEY` as `StorageAdapter.head` does. */
  readonly object: (key: string) => string
  /** Name of the record. */
  readonly record: (key: string) => string
  /** Name of a data object. */
  readonly data: (folder: string, name: string) => string
  /** Name of the object with the long state of a version. */
  readonly state: (key: string, version: string) => string
  /** Prefix of all finished objects. */
  readonly objects: string
  /** Prefix of all records. */
  readonly records: string
  /** Prefix of all data objects. */
  readonly datas: string
  /** Prefix of all long states. */
  readonly states: string
}

/** Returns the layout for the app's prefix and an internal prefix. */
export function layoutOf(prefix: string, internal: string): Layout {
  const records = `${internal}r/${prefix}`
  const datas = `${internal}d/${prefix}`
  const states = `${internal}m/${prefix}`
  return {
    object: (key) => {
      checkKey(key, prefix, internal)
      return `${prefix}${key}`
    },
    record: (key) => `${records}${key}`,
    data: (folder, name) => `${datas}${folder}/${name}`,
    state: (key, version) => `${states}${key}/${version}`,
    objects: prefix,
    records,
    datas,
    states,
  }
}

/**
 * Throws `ERR_KEY` for a key that is not a path, is too long, or leads below the internal prefix.
 */
function checkKey(key: string, prefix: string, internal: string): void {
  keySegments(key)
  const length = Buffer.byteLength(key)
  if (length > MAX_KEY_LENGTH) {
    throw invalidKey(`the path has ${length} bytes; the limit is ${MAX_KEY_LENGTH}`)
  }
  if (`${prefix}${key}`.startsWith(internal)) throw invalidKey('the path is reserved')
}
