import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { expect, test } from 'vitest'

import { describeInChromium } from '../support/browser/chromium.ts'
import { openPage, pageApp, serveApp } from '../support/browser/client-page.ts'

describeInChromium('upload in Chromium', () => {
  test.each([307, 308])('follows a redirection with %i, with method and content', async (code) => {
    const story: string[] = []
    const app = await pageApp()
    app.use('/moved', (req, res) => {
      story.push(`${req.method} moved`)
      res.redirect(code, '/files/a')
    })
    app.use('/files', (req, _res, next) => {
      story.push(req.method)
      next()
    })
    app.use('/files', partialUpload({ storage: memoryStorage() }))
    const { url } = await serveApp(app)
    const page = await openPage(url)

    const status = await page.evaluate(
      `client.upload('/moved', new Blob(['a'.repeat(200_000)])).done.then(({ status }) => status)`,
    )

    expect(status).toBe(201)
    // The answer may be one to the GET that follows a 303: a HEAD finds the resource and its
    // digest.
    expect(story.slice(0, 4)).toEqual(['HEAD moved', 'HEAD', 'PATCH moved', 'PATCH'])
    expect(story.slice(4)).toEqual(['HEAD moved', 'HEAD', 'HEAD moved', 'HEAD'])
    expect(await (await fetch(`${url}/files/a`)).text()).toBe('a'.repeat(200_000))
  })

  test('sends a large file behind a redirection in few requests', async () => {
    let patches = 0
    const app = await pageApp()
    app.use('/moved', (_req, res) => res.redirect(307, '/files/a'))
    app.use('/files', (req, _res, next) => {
      if (req.method === 'PATCH') patches += 1
      next()
    })
    app.use('/files', partialUpload({ storage: memoryStorage() }))
    const { url } = await serveApp(app)
    const page = await openPage(url)

    const status = await page.evaluate(
      `client.upload('/moved', new Blob(['a'.repeat(4_000_000)])).done.then(({ status }) => status)`,
    )

    expect([status, patches]).toEqual([201, 3])
    expect(await (await fetch(`${url}/files/a`)).text()).toBe('a'.repeat(4_000_000))
  })

  test('sends a stream', async () => {
    const app = await pageApp()
    app.use('/files', partialUpload({ storage: memoryStorage() }))
    const { url } = await serveApp(app)
    const page = await openPage(url)

    const status = await page.evaluate(`
      const source = new Blob(['a'.repeat(3_000_000)]).stream()
      const options = { segmentSize: 1_000_000, reprDigest: true, contentDigest: true }
      client.upload('/files/a', source, options).done.then(({ status }) => status)
    `)

    const stored = await fetch(`${url}/files/a`)
    expect(status).toBe(201)
    expect(await stored.text()).toBe('a'.repeat(3_000_000))
  })
})
