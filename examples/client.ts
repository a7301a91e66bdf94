/** Uploads FILE to URL with the client, and prints how far it is: `… examples/client.ts FILE URL`. */

import { upload } from 'partial-upload/client/node'

const [file = '', url = ''] = process.argv.slice(2)
const { done } = upload(url, file, {
  onProgress: ({ sent, size }) => console.log(`${sent} of ${size} bytes`),
})
const { status } = await done
console.log(status)
