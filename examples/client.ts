/**
 * Uploads a file from Node with the client, and prints the progress.
 *
 * Run: `npx tsx client.ts FILE URL`. It prints a line such as `65536 of 500000 bytes` at most every 50
 * ms, and at the end the status of the last answer, 201 for a new file. After a broken connection it
 * resumes by itself. After Ctrl-C, run the same command again.
 */

import { upload } from 'partial-upload/client/node'

const [file = '', url = ''] = process.argv.slice(2)
const { done } = upload(url, file, {
  onProgress: ({ sent, size }) => console.log(`${sent} of ${size} bytes`),
})
const { status } = await done
console.log(status)
