/**
 * Wraps a storage or a writer to change some of its methods, such as those that a limit applies to.
 */

/**
 * Returns an object that has the given `methods`, and all other members of `target`. They are read
 * from `target` at each access: a wrapper that copied each method by hand would lose the optional
 * ones that it does not know, such as `flush`, and those that a later version of the interface
 * adds.
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
