import { fileURLToPath } from 'node:url'

import { defineConfig } from 'vitest/config'

/**
 * Tests with real browsers and object stores, with disks, processes and system calls that fail, of
 * the package, and of settings that a change seldom affects.
 */
const LONG = [
  'test/{browser,engines,faults}/**/*.test.ts',
  'test/cli/{folder,get,get-files,long-run,terminal,truth}.test.ts',
  'test/client/{away,runtimes}.test.ts',
  'test/examples/{app,server}.test.ts',
  // Counts what code does from the moment at which its process loads it.
  'test/fuzz/work.test.ts',
  'test/package.test.ts',
  'test/storage/{,s3/}contract-variants.test.ts',
  'test/storage/fs/kill.test.ts',
  'test/storage/s3/torture.test.ts',
]

const conditions = ['@partial-upload/source']

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    projects: [
      {
        extends: true,
        // A worker keeps the loaded modules between files. Each test restores the globals that it
        // replaces.
        test: { name: 'quick', include: ['test/**/*.test.ts'], exclude: LONG, isolate: false },
      },
      {
        extends: true,
        test: { name: 'long', include: LONG, globalSetup: 'test/support/s3/engine-service.ts' },
      },
    ],
    // Most files wait for sockets and disks, so three at a time pay even on two cores.
    maxWorkers: 3,
    // A test that hangs fails; one on a slow machine does not.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    expect: { poll: { timeout: 20_000 } },
    coverage: { include: ['src/**/*.ts'], reporter: ['text', 'html'] },
  },
})
