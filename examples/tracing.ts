/** An event on the span of the request for each file, with OpenTelemetry or anything that has such spans. */

import { subscribe } from 'node:diagnostics_channel'
import type { PublishedResource, RemovedResource } from 'partial-upload'

/** What is used of a span. With OpenTelemetry it is `trace.getActiveSpan()`. */
export interface Span {
  addEvent(name: string, attributes: Readonly<Record<string, string | number>>): unknown
}

export function traceUploads(activeSpan: () => Span | undefined): void {
  for (const name of ['partial-upload:published', 'partial-upload:removed']) {
    subscribe(name, (message) => {
      if (!isEvent(message)) return
      const { key, size, etag } = message.resource
      activeSpan()?.addEvent(name, { key, size, etag })
    })
  }
}

function isEvent(
  message: unknown,
): message is { readonly resource: PublishedResource | RemovedResource } {
  return message instanceof Object && 'resource' in message
}
