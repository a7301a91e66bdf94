/**
 * Kills and halts several servers on one bucket. `npm run torture -- --store s3` does the same for
 * longer.
 */
import { afterAll, describe, expect, inject, test } from 'vitest'

import { removeBundles } from '../support/faults/process.ts'
import { title } from '../support/faults/server.ts'
import { NO_ENGINE } from '../support/s3/engine-process.ts'
import { tortureBucket } from './torture/bucket.ts'

/** Number of kills and halts in the middle of each kind of work. */
const KILLS = 2

describe.skipIf(NO_ENGINE !== null)(title('servers on one bucket', NO_ENGINE), () => {
  afterAll(removeBundles)

  test.each([2, 3] as const)(
    'keep acknowledged bytes when one of %s is killed or halted, and requests to the store fail',
    async (servers) => {
      const engine = await (await fetch(`${inject('engineService')}rgw`)).text()
      const seed = String(Date.now())

      const score = await tortureBucket({ engine, servers, kills: KILLS, faults: 8, seed })

      expect(score.violations, `seed ${seed}`).toEqual([])
    },
    600_000,
  )
})
