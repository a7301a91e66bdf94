import { createServer } from 'node:http'

import { serve } from './serve.ts'

/** Reads and discards: the most that Node's HTTP server can do. */
const server = createServer((req, res) => {
  req.resume()
  req.on('end', () => {
    res.statusCode = req.method === 'HEAD' ? 200 : 204
    res.end()
  })
})

serve(server)
