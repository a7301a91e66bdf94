import { storageContract } from 'partial-upload/storage/contract'
import { test } from 'vitest'

import { mapStorage } from '../../examples/adapter.ts'

for (const { name, run } of storageContract) {
  test(name, () => run(() => mapStorage(new Map())))
}
