/** Mistakes in `etag` and `lastModified`. */
import type { ResourceState } from '../../../src/storage/adapter.ts'
import { broken } from './break.ts'
import type { BrokenAdapter } from './break.ts'

const ALONE = 'changes the state alone, under another etag for each member'
const MOVES = 'moves lastModified with each version, and only then'
const STRONG = 'gives each version a strong etag that no other has'

/** An etag that leaves one member out. */
function blindTo(member: keyof ResourceState): BrokenAdapter {
  return broken(`the etag does not change with ${member}`, ALONE, () => ({
    info: (info) => {
      const seen = JSON.stringify({ ...info, [member]: null, etag: null, lastModified: null })
      return { ...info, etag: `"${Buffer.from(seen).toString('base64')}"` }
    },
  }))
}

const MEMBERS = [
  'everComplete',
  'completeLength',
  'contentType',
  'contentDisposition',
  'reprDigest',
  'owner',
] as const

export const validatorMistakes: readonly BrokenAdapter[] = [
  ...MEMBERS.map(blindTo),
  broken('the etag is weak', STRONG, () => ({
    info: (info) => ({ ...info, etag: `W/${info.etag}` }),
  })),
  broken('the etag has no quotes', STRONG, () => ({
    info: (info) => ({ ...info, etag: info.etag.slice(1, -1) }),
  })),
  broken('etags begin anew after a remove', STRONG, () => {
    const counts = new Map<string, string[]>()
    return {
      storage: (storage) => ({
        remove(key) {
          counts.delete(key)
          return storage.remove(key)
        },
      }),
      info: (info, key) => {
        const seen = counts.get(key) ?? []
        if (!seen.includes(info.etag)) seen.push(info.etag)
        counts.set(key, seen)
        return { ...info, etag: `"${seen.indexOf(info.etag)}"` }
      },
    }
  }),
  broken('the etag is made of size and time alone', STRONG, () => ({
    info: (info) => ({ ...info, etag: `"${info.size}-${info.lastModified.getTime()}"` }),
  })),
  broken(
    'each look returns another etag',
    'keeps the etag of a version that is not changed',
    () => ({
      info: (info) => ({ ...info, etag: `"${Math.random()}"` }),
    }),
  ),
  broken('lastModified stays that of the creation', MOVES, () => {
    const first = new Map<string, Date>()
    return {
      info: (info, key) => {
        const lastModified = first.get(key) ?? info.lastModified
        first.set(key, lastModified)
        return { ...info, lastModified }
      },
    }
  }),
  broken('an append does not move lastModified', MOVES, () => {
    const kept = new Map<string, Date>()
    return {
      info: (info, key) => {
        const lastModified = info.complete
          ? info.lastModified
          : (kept.get(key) ?? info.lastModified)
        kept.set(key, lastModified)
        return { ...info, lastModified }
      },
    }
  }),
  broken('lastModified is the time of the look', MOVES, () => ({
    info: (info) => ({ ...info, lastModified: new Date() }),
  })),
  broken('lastModified is a number', MOVES, () => ({
    info: (info) => ({ ...info, lastModified: info.lastModified.getTime() as unknown as Date }),
  })),
]
