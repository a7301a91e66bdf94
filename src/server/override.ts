/** Objects that stand in front of a storage or a writer. */

/**
 * Returns `target` with some methods replaced. All other members, also those that a later version of the
 * interface adds, are read from `target` itself. A copy of each method by hand would lose the optional
 * ones that its author did not think of, such as `flush`.
 */
export function override<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_target, name) => {
      if (Object.hasOwn(methods, name)) return Reflect.get(methods, name)
      // Methods are called on the target, because a proxy has no access to its private fields.
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      const bound: unknown = member.bind(target)
      return bound
    },
  })
}
