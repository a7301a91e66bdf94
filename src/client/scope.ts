/** The global scope, with the members that only some platforms have. */
interface Scope {
  readonly Blob: unknown
  /** In pages and workers: the URL that a relative one is resolved against. */
  readonly location?: { readonly href: string }
  /** `onLine` exists in browsers only. */
  readonly navigator?: { readonly onLine?: boolean }
}

export const scope: Scope = globalThis
