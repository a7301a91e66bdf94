/** Bytes → whatever a connection brings, on the file store. */
import { fuzzHead } from '../fuzz-head.ts'

export const fuzz = fuzzHead('fs')
