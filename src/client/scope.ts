/**
 * The global scope, typed with the members that only some platforms have. The client is compiled
 * without the types of the DOM, because it also runs where there is none.
 */
interface Scope {
  /**
   * Not used. TypeScript only accepts `globalThis` here if the two types have a member in common,
   * and those below are unknown to the types of Node 20.
   */
  readonly Blob: unknown
  /** Exists in pages and workers. Relative URLs are resolved against it. */
  readonly location?: { readonly href: string }
  /** `onLine` exists in browsers only, and Node 21 and later have a `navigator` without it. */
  readonly navigator?: { readonly onLine?: boolean }
}

/** The global scope of the platform: a window, a worker or Node. */
export const scope: Scope = globalThis
