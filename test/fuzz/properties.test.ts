/** The properties that `npm run fuzz` checks for long, for a moment each. */
import * as fc from 'fast-check'
import { it } from 'vitest'

import { PROPERTIES } from './properties.ts'

it.each(PROPERTIES)(
  '$name is parsed as the reference parses it, under any chunking',
  async ({ property }) => {
    await fc.assert(property, { numRuns: 300 })
  },
)
