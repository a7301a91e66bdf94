/** The media type of a resource whose client has named none. */
import { describe, expect, it } from 'vitest'

import { field, message } from '../support/wire/client.ts'
import { BOTH, letters, useServer } from '../support/wire/server.ts'

describe.each(BOTH)('the media type of a resource over $name', (combination) => {
  const server = useServer(combination)

  it('is guessed from the name where the client names none', async () => {
    const path = `${server.path()}.png`

    await server.patch(path, 'bytes 0-3/10', 'abcd')
    const incomplete = [await server.head(path), await server.send('GET', path)]
    await server.patch(path, 'bytes 4-9/10', 'efghij')
    const answers = [
      ...incomplete,
      await server.head(path),
      await server.send('GET', path),
      await server.send('GET', path, ['Range: bytes=2-3']),
    ]

    expect(answers.map(({ status }) => status)).toEqual([299, 299, 200, 200, 206])
    for (const answer of answers) {
      expect(field(answer, 'content-type')).toBe('image/png')
      expect(field(answer, 'x-content-type-options')).toBe('nosniff')
    }
  })

  it('is guessed in the parts of several ranges', async () => {
    const path = `${server.path()}.png`
    await server.send('PUT', path, [], letters(10))

    const answer = await server.send('GET', path, ['Range: bytes=0-1,4-5'])

    expect(answer.body.toString().match(/image\/png/g)).toHaveLength(2)
  })

  it.each(['application/octet-stream', 'text/html'])(
    'is %s where the client says so',
    async (type) => {
      const path = `${server.path()}.png`

      await server.send('PUT', path, [`Content-Type: ${type}`], letters(10))

      expect(field(await server.head(path), 'content-type')).toBe(type)
    },
  )

  it('is that of a later segment, which replaces the guess', async () => {
    const path = `${server.path()}.png`
    await server.patch(path, 'bytes 0-3/10', 'abcd')

    const typed = `Content-Type: image/webp\r\n${message('bytes 4-9/10', 'efghij').toString()}`
    await server.send('PATCH', path, ['Content-Type: message/byteranges'], typed)

    expect(field(await server.head(path), 'content-type')).toBe('image/webp')
  })
})
