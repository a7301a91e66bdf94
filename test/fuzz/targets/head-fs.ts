/** Bytes → all bytes of a connection, on the file store. */
import { fuzzHead } from '../fuzz-head.ts'

export const fuzz = fuzzHead('fs')
