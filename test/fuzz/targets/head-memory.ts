/** Bytes → all bytes of a connection, on the memory store. */
import { fuzzHead } from '../fuzz-head.ts'

export const fuzz = fuzzHead('memory')
