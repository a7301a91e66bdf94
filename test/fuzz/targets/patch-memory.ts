/** Bytes → the content of a PATCH over a socket, on the memory store. */
import { fuzzPatch } from '../fuzz-patch.ts'

export const fuzz = fuzzPatch('memory')
