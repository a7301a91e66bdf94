/** Bytes → whatever a connection brings, on the memory store. */
import { fuzzHead } from '../fuzz-head.ts'

export const fuzz = fuzzHead('memory')
