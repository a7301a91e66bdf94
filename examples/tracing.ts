/**
 * Adds an event to the active span for each published or removed file, with OpenTelemetry or another
 * tracer. The events come from `node:diagnostics_channel`, so that the middleware does not depend on a
 * tracer.
 *
 * Call `traceUploads(() => trace.getActiveSpan())` once, when the app starts.
 */

import { subscribe } from 'node:diagnostics_channel'
import type { PublishedResource, RemovedResource } from 'partial-upload'

/** The part of a span that is used. Spans of OpenTelemetry have it. */
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
