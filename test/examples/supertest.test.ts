import request from 'supertest'
import { memoryStorage } from 'partial-upload/storage/memory'
import { expect, test } from 'vitest'

import { createApp } from '../../examples/authorize.ts'

test('a user uploads a file, and another user does not see it', async () => {
  const saved: unknown[] = []
  const app = createApp(memoryStorage(), { save: async (row) => void saved.push(row) })
  const ann = { Authorization: 'Bearer ann-token', 'Content-Type': 'message/byteranges' }
  const bob = { Authorization: 'Bearer bob-token' }

  const content = 'Content-Range: bytes 0-4/5\r\n\r\nhello'
  await request(app).patch('/files/a.txt').set(ann).send(content).expect(201)

  await request(app).get('/files/a.txt').set(bob).expect(404)
  expect(saved).toEqual([{ key: 'ann/a.txt', name: null, size: 5, user: 'ann' }])
})
