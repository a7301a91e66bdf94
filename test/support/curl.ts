/** Which curl the machine has. */
import { execFileSync } from 'node:child_process'

/** Whether there is a curl that speaks HTTP/2. */
export function hasCurlWithHttp2(): boolean {
  try {
    return execFileSync('curl', ['--version'], { encoding: 'utf8' }).includes('HTTP2')
  } catch {
    return false
  }
}
