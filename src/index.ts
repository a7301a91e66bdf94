export { ERRORS, UploadError, type ErrorCode, type UploadErrorOptions } from './errors.ts'
export { expireIncomplete, type ExpireOptions } from './server/expire.ts'
export { partialUpload, type Middleware } from './server/express.ts'
export {
  RefusedError,
  type FinalResponse,
  type FinishedResource,
  type NewResource,
  type PublishedResource,
  type RefuseOptions,
  type RemovedResource,
} from './hooks.ts'
export { memoryLocker, type AcquireOptions, type Lock, type Locker } from './storage/lock.ts'
export type { Limits, PartialUploadOptions, Preset, Rules, Statuses } from './options.ts'
export { prepareServer } from './server/prepare-server.ts'
export type {
  ChangeNotes,
  OpenWriterOptions,
  Reader,
  ResourceInfo,
  ResourceState,
  StorageAdapter,
  Transaction,
  WithLock,
  Writer,
} from './storage/adapter.ts'
