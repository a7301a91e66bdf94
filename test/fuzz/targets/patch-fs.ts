/** Bytes → the content of a PATCH over a socket, on the file store. */
import { fuzzPatch } from '../fuzz-patch.ts'

export const fuzz = fuzzPatch('fs')
