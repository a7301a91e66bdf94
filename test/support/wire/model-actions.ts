/** Requests that fast-check generates. The meaning of one depends on the state of the resource. */
import * as fc from 'fast-check'

import type { StoreName } from '../storage/stores.ts'
import type { Condition } from './model.ts'

export type Action =
  | Changing<'patch', { readonly shape: Shape; readonly isChunked: boolean }>
  | Changing<'multipart', { readonly shape: Shape; readonly more: readonly number[] }>
  | Changing<'declare', { readonly total: number }>
  | Changing<'put', { readonly data: string }>
  | Changing<'delete'>
  | { readonly type: 'cut'; readonly shape: Shape; readonly received: number; readonly of: Cut }
  | { readonly type: 'get'; readonly condition: Condition | null; readonly range: Range | null }
  | { readonly type: 'restart' }
  | { readonly type: 'bad'; readonly shape: Shape; readonly fault: Fault }

/** A request that may have a condition, and a preference. */
type Changing<Type, Rest = object> = Rest & {
  readonly type: Type
  readonly condition: Condition | null
  readonly isAtomic: boolean
}

export interface Shape {
  /** Positions before (negative) or beyond the end of what is stored. */
  readonly distance: number
  readonly data: string
  readonly total: 'declared' | 'unknown' | 'end' | 'beyond'
}

type Range = readonly [start: number, end: number]
/** The requests that are cut. */
export type Cut = (typeof CUTS)[number]
/** Faults for which a server refuses a request in any state. */
export type Fault = (typeof FAULTS)[number]

const CUTS = ['patch', 'patch', 'atomic patch', 'multipart', 'put'] as const
const FAULTS = ['short', 'long', 'unit', 'type', 'header', 'stale', 'existing', 'put'] as const

const text = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom('a', 'b'), minLength, maxLength })

const shape: fc.Arbitrary<Shape> = fc.record({
  distance: fc.constantFrom(0, 0, 0, -1, -2, -5, 1),
  data: text(1, 5),
  total: fc.constantFrom('declared', 'declared', 'unknown', 'end', 'beyond'),
})

const condition: fc.Arbitrary<Condition | null> = fc.option(
  fc.record({
    field: fc.constantFrom('If-Match', 'If-None-Match'),
    tag: fc.constantFrom('current', 'current', 'other', 'any'),
  }),
  { freq: 3 },
)
const common = { condition, isAtomic: fc.boolean() }
const range = fc
  .tuple(fc.nat(12), fc.integer({ min: 1, max: 6 }))
  .map(([start, size]) => [start, start + size] as const)

const patch = fc.record({ type: fc.constant('patch'), shape, isChunked: fc.boolean(), ...common })
const multipart = fc.record({
  type: fc.constant('multipart'),
  shape,
  more: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 3 }),
  ...common,
})
const declare = fc.record({
  type: fc.constant('declare'),
  total: fc.integer({ min: 0, max: 15 }),
  ...common,
})
const put = fc.record({ type: fc.constant('put'), data: text(0, 8), ...common })
const remove = fc.record({ type: fc.constant('delete'), ...common })
const cut = fc.record({
  type: fc.constant('cut'),
  shape,
  received: fc.integer({ min: 1, max: 4 }),
  of: fc.constantFrom(...CUTS),
})
const get = fc.record({
  type: fc.constant('get'),
  condition,
  range: fc.option(range, { freq: 2 }),
})
const restart = fc.record({ type: fc.constant('restart') })
const bad = fc.record({ type: fc.constant('bad'), shape, fault: fc.constantFrom(...FAULTS) })

/** Any request, or a restart of the server where the store outlives it. */
export function anyAction(store: StoreName): fc.Arbitrary<Action> {
  return fc.oneof(
    { weight: 7, arbitrary: patch },
    { weight: 3, arbitrary: multipart },
    { weight: 3, arbitrary: cut },
    { weight: 2, arbitrary: get },
    { weight: 1, arbitrary: declare },
    { weight: 1, arbitrary: put },
    { weight: 1, arbitrary: remove },
    { weight: store === 'memory' ? 0 : 1, arbitrary: restart },
    { weight: 3, arbitrary: bad },
  )
}
