import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import { COMMANDS } from '../../src/cli/help.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const line = useCommandLine()

/**
 * Returns the words that a real bash offers after these words, the last of which is being typed.
 */
async function complete(...words: readonly string[]): Promise<readonly string[]> {
  const { code, out } = await line.run('completion', 'bash')
  expect(code).toBe(0)
  writeFileSync(line.at('script'), out)
  const quoted = ['partial-upload', ...words].map((word) => `'${word}'`).join(' ')
  const program = `source ./script; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}
    _partial_upload; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', program], {
    cwd: line.folder,
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  return stdout.split('\n').filter((text) => text !== '')
}

describe.skipIf(spawnSync('bash', ['--version']).error !== undefined)('bash completes', () => {
  test('commands', async () => {
    expect(await complete('')).toEqual([...COMMANDS, 'help', '--help', '--version'])
    expect(await complete('p')).toEqual(['put', 'patch'])
    expect(await complete('help', 's')).toEqual(['status'])
  })

  test('the options of the command', async () => {
    expect(await complete('put', 'a.bin', '--c')).toEqual([
      ...['--checksum', '--concurrency', '--content-type'],
    ])
    expect(await complete('rm', '--c')).toEqual([])
    expect(await complete('completion', '')).toEqual(['bash', '--help'])
  })

  test('files by itself, where the script offers nothing', async () => {
    expect(await complete('put', 'a')).toEqual([])
  })
})
