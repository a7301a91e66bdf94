import { fileURLToPath } from 'node:url'

import { defineConfig } from 'vitest/config'

const conditions = ['@partial-upload/source']

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['test/**/*.test.ts'],
    coverage: { include: ['src/**/*.ts'], reporter: ['text', 'html'] },
  },
})
