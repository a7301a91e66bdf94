import { describe, expect, it } from 'vitest'

import { override } from '../../src/server/override.ts'

/** A storage whose methods need private fields and call each other. */
class Store {
  readonly name = 'store'
  #calls: string[] = []

  get calls(): readonly string[] {
    return this.#calls
  }
  head(key: string): string {
    this.#calls.push(key)
    return `head of ${key}`
  }
  remove(key: string): string {
    return this.head(key)
  }
  flush?(): void
}

describe('an object with overridden methods', () => {
  it('calls the new method, which may call the old one', () => {
    const store = new Store()
    const wrapped = override(store, { head: (key) => `[${store.head(key)}]` })

    expect(wrapped.head('a')).toBe('[head of a]')
    expect(store.calls).toEqual(['a'])
  })

  it('calls every other method on the object itself, which has private fields', () => {
    const store = new Store()
    const wrapped = override(store, { head: () => 'new' })

    expect([wrapped.remove('a'), wrapped.name, wrapped.calls]).toEqual([
      'head of a',
      'store',
      ['a'],
    ])
  })

  it('has an optional method if the object has it', () => {
    const [without, withFlush] = [new Store(), new Store()]
    let flushes = 0
    withFlush.flush = () => {
      flushes += 1
    }

    override(withFlush, { head: () => 'new' }).flush?.()

    expect(override(without, { head: () => 'new' })).not.toHaveProperty('flush')
    expect(flushes).toBe(1)
  })
})
