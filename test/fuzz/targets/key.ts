/** Bytes → the path of a URL, as Node reads it from a request line. */
import { checkKey } from '../check-key.ts'

export function fuzz(data: Uint8Array): void {
  checkKey(`/${Buffer.from(data).toString('latin1')}`)
}
