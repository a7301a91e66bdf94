/** An event on the span of the request for each file, with OpenTelemetry or anything that has such spans. */

import { subscribe } from 'node:diagnostics_channel'
import type { PublishedResource, RemovedResource } from 'partial-upload'

/** What is used of a span. With OpenTelemetry it is `trace.getActiveSpan()`. */
export interface Span {
  addEvent(name: string, attributes: Readonly<Record<string, string | number>>): unknown
}

interface Message {
  readonly resource: PublishedResource | RemovedResource
}

export function traceUploads(activeSpan: () => Span | undefined): void {
  for (const name of ['partial-upload:published', 'partial-upload:removed']) {
    subscribe(name, (message) => {
      const { key, size, etag } = (message as Message).resource
      activeSpan()?.addEvent(name, { key, size, etag })
    })
  }
}
