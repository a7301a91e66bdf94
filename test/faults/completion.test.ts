/** The completion of an upload whose server dies or fails between the last byte and the answer. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { upload } from 'partial-upload/client/node'
import { describe, expect, it, onTestFinished } from 'vitest'

import { Proxy } from '../support/client/proxy.ts'
import { MESSAGE, MULTIPART, field, message } from '../support/wire/client.ts'
import {
  ALL,
  ATOMIC_ENDS,
  DATA,
  ENDS,
  LAST,
  MIDDLE,
  TARGET,
  begin,
  callsOf,
  order,
  send,
  stands,
  start,
} from '../support/faults/completion.ts'
import type { Step } from '../support/faults/completion.ts'
import { newDirectory, pattern } from '../support/faults/server.ts'
import type { FaultServer } from '../support/faults/server.ts'

/** Requests that complete an upload whose bytes have all arrived. */
const FINISHES: readonly Step[] = [
  ['the last segment again', 'PATCH', [MESSAGE], LAST],
  ['the first segment again', 'PATCH', [MESSAGE], message('bytes 0-3/10', 'abcd')],
  ['the whole again', 'PATCH', [MESSAGE], ALL],
  ['only the length', 'PATCH', [MESSAGE], message('bytes */10')],
  ['a multipart patch', 'PATCH', [MULTIPART], MIDDLE],
  ['an atomic segment', 'PATCH', [MESSAGE, 'Prefer: transaction=atomic'], LAST],
  ['a PUT', 'PUT', [], DATA],
]

async function expectFinished(server: FaultServer): Promise<void> {
  const { status, body } = await server.send('GET', TARGET)
  expect([status, body.toString()]).toEqual([200, DATA])
}

/** Makes a directory with an upload whose bytes have all arrived, and which was not completed. */
async function interrupted(end: Step, isBegun = true): Promise<string> {
  const directory = newDirectory()
  const server = await start(directory, ['onComplete'])
  if (isBegun) await server.patch(TARGET, 'bytes 0-3/10', 'abcd')
  await begin(server, end)
  await stands(server, 'onComplete')
  await server.kill()
  return directory
}

describe('a server that dies while onComplete runs', () => {
  it.each(ENDS)('has all bytes of %s, and does not report it as complete', async (...end) => {
    const server = await start(await interrupted(end))

    const head = await server.send('HEAD', TARGET)

    expect([head.status, field(head, 'content-length')]).toEqual([299, '10'])
    expect(field(head, 'content-range')).toBe('bytes 0-9/10')
  })

  it.each(ATOMIC_ENDS)('has nothing of %s, and accepts it again', async (...end) => {
    const server = await start(await interrupted(end))

    const before = await server.state(TARGET)
    const again = await send(server, end)

    expect([before, again.status, await callsOf(server)]).toEqual(['I(4/10)', 201, 1])
    await expectFinished(server)
  })

  it('has all bytes of a PUT that prefers persist', async () => {
    const directory = newDirectory()
    const first = await start(directory, ['onComplete'])
    await begin(first, ['', 'PUT', ['Prefer: transaction=persist'], DATA])
    await stands(first, 'onComplete')
    await first.kill()
    const server = await start(directory)

    const before = await server.state(TARGET)
    const end = await server.patch(TARGET, 'bytes */10')

    expect([before, end.status, await callsOf(server)]).toEqual(['I(10/10)', 201, 1])
    await expectFinished(server)
  })

  it('leaves a finished file unchanged', async () => {
    const directory = newDirectory()
    const first = await start(directory, ['onComplete'])
    const whole = await begin(first, ['', 'PUT', [], DATA])
    await stands(first, 'onComplete')
    await order(first, 'onComplete', 'pass')
    await whole.answer()
    await begin(first, ['', 'PATCH', [MESSAGE], message('bytes 0-0/10', 'X')])
    await stands(first, 'onComplete')
    await first.kill()

    await expectFinished(await start(directory))
  })

  it.each(FINISHES)('lets %s complete it, and asks the app once', async (...finish) => {
    const server = await start(await interrupted(ENDS[0]!))

    const answer = await send(server, finish)
    const again = await send(server, FINISHES[0]!)

    expect([answer.status, again.status]).toEqual([201, 204])
    expect(await callsOf(server)).toBe(1)
    await expectFinished(server)
  })

  it('lets the client of this package complete it without sending a byte again', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'partial-upload-completion-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = path.join(folder, 'file')
    // Large enough that the client sends HEAD first. It sends a small file without asking.
    const bytes = pattern(100_000)
    writeFileSync(file, bytes)
    const whole = message(`bytes 0-${bytes.length - 1}/${bytes.length}`, bytes)
    const server = await start(await interrupted(['', 'PATCH', [MESSAGE], whole], false))
    const proxy = new Proxy()
    await proxy.start(server.port)
    onTestFinished(() => proxy.stop())

    const response = await upload(`${proxy.origin}${TARGET}`, file).done

    expect([response.status, await callsOf(server)]).toEqual([201, 1])
    expect(proxy.summaries()).toEqual(['*+0 → 201'])
    expect((await server.send('GET', TARGET)).body.equals(bytes)).toBe(true)
  })
})

describe('a server that dies after the commit and before the answer', () => {
  it.each([...ENDS, ...ATOMIC_ENDS])('has completed %s for good', async (...end) => {
    const directory = newDirectory()
    const first = await start(directory, ['committed'])
    const begun = await begin(first, ['', 'PATCH', [MESSAGE], message('bytes 0-3/10', 'abcd')])
    await stands(first, 'committed')
    await order(first, 'committed', 'pass')
    await begun.answer()
    await begin(first, end)
    await stands(first, 'committed')
    await first.kill()
    const server = await start(directory)

    expect(await server.state(TARGET)).toBe('C(10)')
    for (const finish of FINISHES.filter(([, method]) => method !== 'PUT')) {
      expect([finish[0], (await send(server, finish)).status]).toEqual([finish[0], 204])
    }
    expect(await callsOf(server)).toBe(0)
    await expectFinished(server)
  })
})

describe('an app that fails in onComplete', () => {
  it.each([
    ['fail', 500],
    ['full', 507],
  ])('with %s is answered %i, and the bytes stay', async (how, status) => {
    const server = await start(newDirectory(), ['onComplete'])
    await server.patch(TARGET, 'bytes 0-3/10', 'abcd')
    const last = await begin(server, ENDS[0]!)
    await stands(server, 'onComplete')
    await order(server, 'onComplete', how)

    expect((await last.answer()).status).toBe(status)
    expect(await server.state(TARGET)).toBe('I(10/10)')
  })

  it.each(FINISHES)('is asked again by %s', async (...finish) => {
    const server = await start(newDirectory(), ['onComplete'])
    await server.patch(TARGET, 'bytes 0-3/10', 'abcd')
    const last = await begin(server, ENDS[0]!)
    await stands(server, 'onComplete')
    await order(server, 'onComplete', 'fail')
    await last.answer()

    const next = await begin(server, finish)
    await stands(server, 'onComplete')
    await order(server, 'onComplete', 'pass')

    expect((await next.answer()).status).toBe(201)
    expect(await callsOf(server)).toBe(2)
    await expectFinished(server)
  })

  it('is not asked by GET and HEAD, or by a request that is refused', async () => {
    const server = await start(newDirectory(), ['onComplete'])
    await server.patch(TARGET, 'bytes 0-3/10', 'abcd')
    const last = await begin(server, ENDS[0]!)
    await stands(server, 'onComplete')
    await order(server, 'onComplete', 'fail')
    await last.answer()

    const statuses = [
      (await server.send('HEAD', TARGET)).status,
      (await server.send('GET', TARGET)).status,
      (await server.patch(TARGET, 'bytes */9')).status,
      (await server.patch(TARGET, 'bytes 11-10/12')).status,
      (await server.send('PATCH', TARGET, [MESSAGE, 'If-None-Match: *'], LAST)).status,
    ]

    expect(statuses).toEqual([299, 299, 409, 400, 412])
    expect(await callsOf(server)).toBe(1)
  })
})

describe('a client that lost the last answer', () => {
  it('gets the final status again, even after a restart, and the app is not asked', async () => {
    const directory = newDirectory()
    const first = await start(directory, ['onComplete'])
    await first.patch(TARGET, 'bytes 0-3/10', 'abcd')
    const last = await begin(first, ENDS[0]!)
    await stands(first, 'onComplete')
    last.socket.destroy()
    await order(first, 'onComplete', 'pass')
    await first.becomes(TARGET, 'C(10)')

    const again = await send(first, ENDS[0]!)
    const calls = await callsOf(first)
    await first.kill()
    const server = await start(directory)
    const later = await send(server, ENDS[0]!)

    expect([again.status, calls]).toEqual([204, 1])
    expect([later.status, await callsOf(server)]).toEqual([204, 0])
    expect(field(later, 'etag')).toBe(field(again, 'etag'))
  })

  it('and another client that sends the same cause one call of the app', async () => {
    const directory = await interrupted(ENDS[0]!)
    const server = await start(directory, ['onComplete'], { lockTimeout: 10_000 })

    const both = [await begin(server, ENDS[0]!), await begin(server, ENDS[0]!)]
    await stands(server, 'onComplete')
    await order(server, 'onComplete', 'pass')
    const statuses = await Promise.all(both.map(async (one) => (await one.answer()).status))

    expect(new Set(statuses)).toEqual(new Set([201, 204]))
    expect(await callsOf(server)).toBe(1)
  })

  it('is refused with Retry-After while onComplete still runs', async () => {
    const server = await start(newDirectory(), ['onComplete'], { lockTimeout: 200 })
    await server.patch(TARGET, 'bytes 0-3/10', 'abcd')
    const last = await begin(server, ENDS[0]!)
    await stands(server, 'onComplete')

    const early = await send(server, ENDS[0]!)
    await order(server, 'onComplete', 'pass')
    await last.answer()
    const late = await send(server, ENDS[0]!)

    expect([early.status, field(early, 'retry-after')]).toEqual([409, '1'])
    expect([late.status, await callsOf(server)]).toEqual([204, 1])
  })
})
