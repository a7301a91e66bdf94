/** Requests a file for `get`, and refuses a web page in its place, such as a login. */
import { isPage, strongTag } from '../client/answer.ts'
import { ClientError } from '../client/error.ts'
import { fieldsFor, MAX_REDIRECTIONS, redirectionOf } from '../client/transport/redirect.ts'

/** Matches a path with a file extension other than that of a web page (.html, .htm, .xhtml). */
const OTHER_THAN_PAGE = /\.(?!x?html?$)[^./]+$/i

/**
 * Sends a `GET` and follows redirections. 301, 302, 307 and 308 mean that the file is at another
 * URL, for example at a content delivery network. A 303 leads to another resource (RFC 9110
 * §15.4.4), and is refused.
 *
 * Redirections are followed here and not by `fetch`, because credentials must only be sent to the
 * origin that they were given for, and because `fetch` follows a 303.
 *
 * @throws ClientError `ERR_RESPONSE` for a 303, and for a web page in place of the file.
 * @throws TypeError if the connection can't be made or breaks, as `fetch` does.
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
      throw refusal(
        'the server redirects to another resource instead of sending the file',
        response,
      )
    }
    fields = fieldsFor(current, next, fields)
    current = next
  }
}

/**
 * Throws if the answer is a web page in place of the file. A web page may also be the file itself.
 * It is not if a redirection has changed the last part of the path, as a login does, nor if the URL
 * names another kind of file and the page has no strong entity tag, as from an app that answers
 * every URL with a page.
 */
function checkPage(url: URL, final: URL, response: Response): void {
  if (!response.ok || !isPage(response)) return
  const name = url.pathname.split('/').at(-1)
  const isUntagged = strongTag(response.headers) === null && OTHER_THAN_PAGE.test(url.pathname)
  if (name === final.pathname.split('/').at(-1) && !isUntagged) return
  const place = final.href === url.href ? 'sends' : `redirects to ${final.origin} and sends`
  throw refusal(`the server ${place} a web page instead of the file, perhaps a login`, response)
}

/**
 * Makes the error for an answer that is not the requested file. A retry would get the same answer.
 */
export function refusal(message: string, response: Response): ClientError {
  return new ClientError('ERR_RESPONSE', message, { response })
}
