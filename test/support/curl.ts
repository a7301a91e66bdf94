/** Finds out which curl the machine has. */
import { execFileSync } from 'node:child_process'

/** Whether a curl with HTTP/2 is installed. */
export function hasCurlWithHttp2(): boolean {
  try {
    return execFileSync('curl', ['--version'], { encoding: 'utf8' }).includes('HTTP2')
  } catch {
    return false
  }
}
