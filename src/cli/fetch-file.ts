/** Requests a file, and makes sure that the answer is the file and not a page in its place. */
import { isPage, strongTag } from '../client/answer.ts'
import { ClientError } from '../client/error.ts'
import { fieldsFor, MAX_REDIRECTIONS, redirectionOf } from '../client/transport/redirect.ts'

/** Matches the name of a file that is not a web page. */
const OTHER_THAN_PAGE = /\.(?!x?html?$)[^./]+$/i

/**
 * Sends a `GET` and follows redirections. 301, 302, 307 and 308 say that the file is at another URL, for
 * example at a content network. A 303 leads to another resource (RFC 9110 §15.4.4), and a web page with
 * another name is usually a login: both are refused.
 *
 * @throws ClientError
 * @throws TypeError for a broken connection, as `fetch` does.
 */
export async function fetchFile(
  url: URL,
  headers: Headers,
  signal: AbortSignal,
): Promise<Response> {
  let current = url
  let fields = headers
  for (let redirections = 0; ; redirections++) {
    const response = await fetch(current, { headers: fields, signal, redirect: 'manual' })
    const next = redirections < MAX_REDIRECTIONS ? redirectionOf('GET', current, response) : null
    if (next === null) {
      checkPage(url, current, response)
      return response
    }
    await response.body?.cancel()
    if (response.status === 303) {
      throw refusal('the server redirects to another resource', response)
    }
    fields = fieldsFor(current, next, fields)
    current = next
  }
}

/**
 * Refuses a web page in place of a file: one that a redirection led to, unless it kept the name of the
 * file, and one without a strong entity tag at a URL that names another kind of file.
 */
function checkPage(url: URL, final: URL, response: Response): void {
  if (!response.ok || !isPage(response)) return
  const name = url.pathname.split('/').at(-1)
  const isUntagged = strongTag(response.headers) === null && OTHER_THAN_PAGE.test(url.pathname)
  if (name === final.pathname.split('/').at(-1) && !isUntagged) return
  const place = final.href === url.href ? 'sends' : `redirects to ${final.origin} and sends`
  throw refusal(`the server ${place} a web page instead of the file, perhaps a login`, response)
}

/** Makes the error for an answer that is not the file. */
export function refusal(message: string, response: Response): ClientError {
  return new ClientError('ERR_RESPONSE', message, { response })
}
