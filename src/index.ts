export { ERRORS, UploadError, type ErrorCode, type UploadErrorOptions } from './errors.ts'
export type {
  OpenWriterOptions,
  Reader,
  ResourceInfo,
  ResourceState,
  StorageAdapter,
  Transaction,
  Writer,
} from './storage/adapter.ts'
