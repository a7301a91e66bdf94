/** Bytes → a PATCH and the resource that it meets. */
import { checkPatch, FORMATS, GIVEN, type PatchInput } from './check-patch.ts'
import { splitInput } from './input.ts'
import type { StoreName } from '../support/storage/stores.ts'
import { FuzzServer } from './server.ts'

const GIVENS = Object.keys(GIVEN) as (keyof typeof GIVEN)[]
const FORMAT_NAMES = Object.keys(FORMATS) as (keyof typeof FORMATS)[]
const FRAMINGS = ['length', 'chunked', 'cut-length', 'cut-chunked'] as const

/** Makes a target on one store; its server starts with the first input. */
export function fuzzPatch(store: StoreName): (data: Uint8Array) => Promise<void> {
  let server: Promise<FuzzServer> | null = null
  return async (data) => {
    server ??= FuzzServer.start(store)
    await checkPatch(await server, toInput(data))
  }
}

function toInput(data: Uint8Array): PatchInput {
  const { choice, seed, bytes } = splitInput(data)
  return {
    given: GIVENS[choice % 4]!,
    framing: FRAMINGS[(choice >> 2) % 4]!,
    format: FORMAT_NAMES[(choice >> 4) % 4]!,
    bytes,
    seed,
  }
}
