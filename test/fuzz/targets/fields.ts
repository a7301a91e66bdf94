/** Bytes → the value of one of the fields. */
import { FIELD_CHECKS } from '../check-fields.ts'
import { splitInput } from '../input.ts'

const CHECKS = Object.values(FIELD_CHECKS)

export function fuzz(data: Uint8Array): void {
  const { choice, bytes } = splitInput(data)
  CHECKS[choice % CHECKS.length]!(Buffer.from(bytes).toString('latin1'))
}
