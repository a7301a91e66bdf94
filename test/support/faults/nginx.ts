/**
 * nginx in front of a server: its own configuration and folder, started and stopped by the test.
 */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

import { afterAll, beforeAll } from 'vitest'

import { freePort } from '../free-port.ts'
import { blockWith } from '../readme/documents.ts'
import { reasonAgainst } from './server.ts'

/** Debian installs it in a directory that is only in the PATH of root. */
const ENV = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/usr/local/sbin` }

/**
 * The reason why tests behind nginx are skipped on this machine, for their titles; null if they can
 * run.
 */
export const NO_NGINX = reasonAgainst('needs nginx', () =>
  execFileSync('nginx', ['-v'], { stdio: 'ignore', env: ENV }),
)

/** The configuration that the README shows. */
const SHOWN = blockWith('nginx', 'proxy_pass')

/** The content of the block `http` in its configuration; `%` stands for its folder. */
export type Configuration = (ports: { readonly own: number; readonly app: number }) => string

/** The README's configuration with these ports, edited. */
export function shown(edit: (text: string) => string = (text) => text): Configuration {
  return ({ own, app }) =>
    edit(SHOWN)
      .replace('listen 80', `listen 127.0.0.1:${own}`)
      .replace('127.0.0.1:3000', `127.0.0.1:${app}`)
}

/** nginx with its defaults, `proxy_pass` and these directives. */
export function usual(inLocation = '', inHttp = ''): Configuration {
  return ({ own, app }) => `
    ${inHttp}
    server {
      listen 127.0.0.1:${own};
      location /files/ { proxy_pass http://127.0.0.1:${app}; ${inLocation} }
    }
  `
}

/** A running nginx. */
export interface Nginx {
  /** Port on 127.0.0.1. */
  port: number
  /** Its log. */
  readonly log: string[]
}

/** Starts nginx for the tests of the surrounding `describe`, and stops it after them. */
export function useNginx(app: () => number, configuration: Configuration): Nginx {
  const nginx: Nginx = { port: 0, log: [] }
  let child: ChildProcess | null = null
  const folder = mkdtempSync(path.join(tmpdir(), 'partial-upload-nginx-'))
  beforeAll(async () => {
    if (NO_NGINX !== null) return
    for (let tries = 0; child === null; tries += 1) {
      nginx.port = await freePort()
      writeFileSync(
        path.join(folder, 'nginx.conf'),
        wholeConfiguration(folder, configuration({ own: nginx.port, app: app() })),
      )
      child = await start(folder, nginx.log)
      if (child === null && tries === 5) throw new Error(nginx.log.join('\n'))
    }
  })
  afterAll(async () => {
    if (child !== null) {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    }
    rmSync(folder, { recursive: true, force: true })
  })
  return nginx
}

function wholeConfiguration(folder: string, block: string): string {
  const parts = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const paths = parts.map((part) => `${part}_temp_path ${folder}/${part};`)
  return `
    daemon off;
    worker_processes 1;
    pid ${folder}/pid;
    error_log stderr notice;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    events { worker_connections 4096; }
    http { access_log off; ${paths.join(' ')} ${block.replaceAll('%/', `${folder}/`)} }
  `
}

/**
 * Resolves with the process once it listens; null if another process has taken its port meanwhile.
 */
async function start(folder: string, log: string[]): Promise<ChildProcess | null> {
  const file = path.join(folder, 'nginx.conf')
  const child = spawn('nginx', ['-e', 'stderr', '-p', folder, '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: ENV,
  })
  return new Promise((resolve) => {
    createInterface({ input: child.stderr })
      .on('line', (line) => {
        log.push(line)
        if (/start worker process /.test(line)) resolve(child)
      })
      .on('close', () => resolve(null))
  })
}
