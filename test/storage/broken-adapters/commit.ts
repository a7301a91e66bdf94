/** Mistakes in `commit`: the state, the base, and the versions that readers see meanwhile. */
import { UploadError } from '../../../src/errors.ts'
import type { ResourceInfo, ResourceState } from '../../../src/storage/adapter.ts'
import { aMoment, broken } from './break.ts'
import type { BrokenAdapter, Mistake } from './break.ts'

const EACH = 'stores each member of the state as it is'
const INITIAL = 'creates a resource in its initial state with every member'
const COPY = 'keeps its own copy of a state'
const WHILE = 'shows the old version or the new one while commit runs, and no mixture'
const ALONE = 'changes the state alone, under another etag for each member'
const BASE = 'begins a writer with the current version'

/** Commits another state than the one that is given. */
function committing(change: (state: ResourceState) => ResourceState): () => Mistake {
  return () => ({ writer: (writer) => ({ commit: (state) => writer.commit(change(state)) }) })
}

const MEMBERS: readonly (readonly [keyof ResourceState, unknown])[] = [
  ['everComplete', false],
  ['completeLength', null],
  ['contentType', null],
  ['contentDisposition', null],
  ['reprDigest', null],
  ['owner', null],
]

export const commitMistakes: readonly BrokenAdapter[] = [
  ...MEMBERS.map(([member, value]) =>
    broken(
      `commit loses ${member}`,
      EACH,
      committing((state) => ({ ...state, [member]: value })),
    ),
  ),
  ...MEMBERS.map(([member, value]) =>
    broken(`the initial state loses ${member}`, INITIAL, () => ({
      storage: (storage) => ({
        openWriter: (key, options) =>
          storage.openWriter(key, { ...options, initial: { ...options.initial, [member]: value } }),
      }),
    })),
  ),
  broken(
    'owner and type are swapped',
    EACH,
    committing((state) => ({ ...state, owner: state.contentType, contentType: state.owner })),
  ),
  broken(
    'lengths are cut to 32 bits',
    EACH,
    committing((state) => ({
      ...state,
      completeLength: state.completeLength === null ? null : state.completeLength % 2 ** 32,
    })),
  ),
  broken(
    'a length of zero becomes null',
    EACH,
    committing((state) => ({ ...state, completeLength: state.completeLength || null })),
  ),
  broken(
    'a type is cut at its parameters',
    EACH,
    committing((state) => ({ ...state, contentType: state.contentType?.split(';', 1)[0] ?? null })),
  ),
  broken(
    'text is stored as latin-1',
    EACH,
    committing((state) => ({
      ...state,
      owner: state.owner && Buffer.from(state.owner).toString('latin1'),
    })),
  ),
  broken(
    'everComplete follows complete',
    EACH,
    committing((state) => ({ ...state, everComplete: state.complete })),
  ),
  broken('a state is merged into the one before', ALONE, () => ({
    writer: (writer) => ({
      commit: (state) =>
        writer.commit({
          ...state,
          contentType: state.contentType ?? writer.base?.contentType ?? null,
        }),
    }),
  })),
  broken('the committed state is shared by reference', COPY, () => {
    const states = new Map<string, ResourceState>()
    return {
      info: (info, key) => ({ ...info, ...states.get(key) }),
      writer: (writer, { key }) => ({
        async commit(state) {
          await writer.commit(state)
          states.set(key, state)
          const { size, etag, lastModified } = await writer.commit(state).catch(() => sizeless)
          return { ...state, size, etag, lastModified }
        },
      }),
    }
  }),
  broken('the initial state is shared by reference', COPY, () => {
    const states = new Map<string, ResourceState>()
    return {
      info: (info, key) => ({ ...info, ...states.get(key) }),
      writer: (writer, { key, options }) => {
        if (writer.base === null && writer.transaction === 'persist')
          states.set(key, options.initial)
        return {
          commit(state) {
            states.delete(key)
            return writer.commit(state)
          },
        }
      },
    }
  }),
  broken(
    'one info object is changed again and again',
    'never changes an info that it has returned',
    () => {
      const infos = new Map<string, ResourceInfo>()
      return {
        info: (info, key) => {
          const shared = Object.assign(infos.get(key) ?? {}, info)
          infos.set(key, shared)
          return shared
        },
      }
    },
  ),
  broken('commit returns the base', 'returns from commit what head returns', () => ({
    writer: (writer) => ({
      async commit(state) {
        const info = await writer.commit(state)
        return writer.base ?? info
      },
    }),
  })),
  broken('the state is current before the bytes are', WHILE, () => {
    const early = new Map<string, ResourceState>()
    return {
      info: (info, key) => ({ ...info, ...early.get(key) }),
      writer: (writer, { key }) => ({
        async commit(state) {
          early.set(key, state)
          await aMoment()
          early.delete(key)
          return writer.commit(state)
        },
      }),
    }
  }),
  broken('the old version is removed before the new one is there', WHILE, () => {
    const hidden = new Set<string>()
    return {
      storage: (storage) => ({
        head: async (key) => (hidden.has(key) ? null : storage.head(key)),
        openReader: async (key) => (hidden.has(key) ? null : storage.openReader(key)),
      }),
      writer: (writer, { key }) => ({
        async commit(state) {
          hidden.add(key)
          await Promise.resolve()
          hidden.delete(key)
          return writer.commit(state)
        },
      }),
    }
  }),
  broken('commit publishes in two steps', WHILE, () => ({
    writer: (writer, { storage, key, options }) => ({
      async commit(state) {
        const info = await writer.commit(state)
        if (info.size < 2 || writer.transaction === 'persist') return info
        const half = await storage.openWriter(key, {
          ...options,
          transaction: 'atomic',
          replace: false,
        })
        await half.truncate(info.size - 1)
        await half.commit(state)
        await aMoment()
        return info
      },
    }),
  })),
  broken(
    'rollback hides the resource for a moment',
    'shows the old version while an atomic write is undone',
    () => {
      const hidden = new Set<string>()
      return {
        storage: (storage) => ({
          head: async (key) => (hidden.has(key) ? null : storage.head(key)),
        }),
        writer: (writer, { key }) => ({
          async rollback() {
            hidden.add(key)
            await aMoment()
            hidden.delete(key)
            await writer.rollback()
          },
        }),
      }
    },
  ),
  broken('the base is the version before a remove', BASE, () => {
    const last = new Map<string, ResourceInfo>()
    return {
      writer: (writer, { key }) => {
        const base = writer.base ?? last.get(key) ?? null
        if (base !== null) last.set(key, base)
        return { base }
      },
    }
  }),
  broken(
    'a new resource begins with the bytes that were removed',
    'starts over after a remove, without the bytes before it',
    () => {
      const removed = new Map<string, number>()
      return {
        storage: (storage) => ({
          async remove(key) {
            removed.set(key, (await storage.head(key))?.size ?? 0)
            return storage.remove(key)
          },
        }),
        writer: (writer, { key }) => ({
          async commit(state) {
            const size = removed.get(key) ?? 0
            if (size > 2 && writer.base === null) await writer.write(2, [new Uint8Array(size - 2)])
            return writer.commit(state)
          },
        }),
      }
    },
  ),
  broken('a stale writer commits', 'refuses a commit whose base is no longer current', () => ({
    writer: (writer, { storage, key, options }) => ({
      commit: (state) =>
        writer.commit(state).catch(async (error: unknown) => {
          if (!(error instanceof UploadError) || error.code !== 'ERR_CONFLICT') throw error
          const next = await storage.openWriter(key, { ...options, transaction: 'atomic' })
          return next.commit(state)
        }),
    }),
  })),
  broken('a second commit succeeds', 'does nothing on a writer that has ended', () => ({
    writer: (writer, { storage, key }) => ({
      commit: (state) =>
        writer.commit(state).catch(async (error: unknown) => {
          const now = await storage.head(key)
          if (now === null || !String(error).includes('ended')) throw error
          return now
        }),
    }),
  })),
  broken('replace keeps the bytes of the base', 'replaces a resource', () => ({
    storage: (storage) => ({
      openWriter: (key, options) =>
        storage.openWriter(key, { ...options, transaction: 'atomic', replace: false }),
    }),
  })),
]

const sizeless = { size: 0, etag: '""', lastModified: new Date(0) }
