/**
 * Proxies and caches in front of a server: each with its own configuration, started by the test.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { afterAll, beforeAll } from 'vitest'

import { freePort } from '../free-port.ts'
import { reasonAgainst } from './server.ts'

/** Debian installs these programs in directories that are only in the PATH of root. */
const ENV = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/usr/local/sbin` }

interface Ports {
  readonly own: number
  readonly app: number
}

/** A program that stands between the client and the app. */
export interface Proxy {
  readonly name: string
  /** Why it can't be started here; null if it can. */
  readonly missing: string | null
  /** The command, and the files that it reads in `folder`. */
  readonly start: (
    folder: string,
    ports: Ports,
  ) => { readonly command: readonly string[]; readonly files?: Readonly<Record<string, string>> }
}

function missing(command: string, ...args: readonly string[]): string | null {
  return reasonAgainst(`needs ${command}`, () =>
    execFileSync(command, args, { stdio: 'ignore', env: ENV }),
  )
}

/** With its built-in rules alone. */
export const VARNISH: Proxy = {
  name: 'Varnish',
  missing: missing('varnishd', '-V'),
  start: (folder, { own, app }) => ({
    command: [
      ...['varnishd', '-F', '-a', `127.0.0.1:${own}`, '-b', `127.0.0.1:${app}`],
      ...['-n', path.join(folder, 'work'), '-s', 'malloc,64m', '-j', 'none'],
    ],
  }),
}

/**
 * With a cache that keeps cacheable answers, and answers of 200 and 404 without a lifetime for a
 * minute.
 */
export const NGINX_CACHE: Proxy = {
  name: 'nginx with a cache',
  missing: missing('nginx', '-v'),
  start: (folder, { own, app }) => ({
    command: ['nginx', '-e', 'stderr', '-p', folder, '-c', path.join(folder, 'nginx.conf')],
    files: {
      'nginx.conf': `
        daemon off;
        worker_processes 1;
        pid ${folder}/pid;
        error_log stderr;
        ${process.getuid?.() === 0 ? 'user root;' : ''}
        events {}
        http {
          access_log off;
          ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
            .map((part) => `${part}_temp_path ${folder}/${part};`)
            .join('\n')}
          proxy_cache_path ${folder}/cache keys_zone=all:1m;
          server {
            listen 127.0.0.1:${own};
            location / {
              proxy_pass http://127.0.0.1:${app};
              proxy_http_version 1.1;
              proxy_request_buffering off;
              client_max_body_size 0;
              proxy_cache all;
              proxy_cache_valid 200 404 1m;
            }
          }
        }`,
    },
  }),
}

/** As in the package of Debian, with a disk cache that keeps everything for a minute. */
export const APACHE_CACHE: Proxy = {
  name: 'Apache with a cache',
  missing: missing('apache2', '-v'),
  start: (folder, { own, app }) => ({
    command: ['apache2', '-X', '-f', path.join(folder, 'apache.conf')],
    files: {
      'apache.conf': `
        ServerRoot /usr/lib/apache2
        ServerName localhost
        Listen 127.0.0.1:${own}
        PidFile ${folder}/pid
        ErrorLog ${folder}/error.log
        Mutex file:${folder} default
        ${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
        LoadModule mpm_event_module modules/mod_mpm_event.so
        LoadModule authz_core_module modules/mod_authz_core.so
        LoadModule proxy_module modules/mod_proxy.so
        LoadModule proxy_http_module modules/mod_proxy_http.so
        LoadModule cache_module modules/mod_cache.so
        LoadModule cache_disk_module modules/mod_cache_disk.so
        CacheRoot ${folder}/cache
        CacheEnable disk /
        CacheDefaultExpire 60
        ProxyPass / http://127.0.0.1:${app}/`,
    },
  }),
}

export const CADDY: Proxy = {
  name: 'Caddy',
  missing: missing('caddy', 'version'),
  start: (folder, { own, app }) => ({
    command: [
      ...['env', `XDG_DATA_HOME=${folder}/data`, `XDG_CONFIG_HOME=${folder}/config`, 'caddy'],
      ...['run', '--adapter', 'caddyfile', '--config', path.join(folder, 'Caddyfile')],
    ],
    files: {
      Caddyfile: `
{
  admin off
  auto_https off
}
http://:${own} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${app}
}
`,
    },
  }),
}

export const HAPROXY: Proxy = {
  name: 'HAProxy',
  missing: missing('haproxy', '-v'),
  start: (folder, { own, app }) => ({
    command: ['haproxy', '-db', '-f', path.join(folder, 'haproxy.cfg')],
    files: {
      'haproxy.cfg': `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 300s
cache all
  total-max-size 4
  max-age 60
frontend front
  bind 127.0.0.1:${own}
  http-request cache-use all
  http-response cache-store all
  default_backend app
backend app
  server app 127.0.0.1:${app}
`,
    },
  }),
}

/** Starts the proxy for the tests of the surrounding `describe`, and stops it after them. */
export function useProxy(proxy: Proxy, app: () => number): { port: number } {
  const started = { port: 0 }
  if (proxy.missing !== null) return started
  const folder = mkdtempSync(path.join(tmpdir(), 'partial-upload-proxy-'))
  // Apache runs its workers as another user.
  execFileSync('chmod', ['777', folder])
  mkdirSync(path.join(folder, 'cache'), { mode: 0o777 })
  execFileSync('chmod', ['777', path.join(folder, 'cache')])
  let stop = async (): Promise<void> => undefined
  beforeAll(async () => {
    started.port = await freePort()
    const { command, files = {} } = proxy.start(folder, { own: started.port, app: app() })
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text)
    const [program = '', ...args] = command
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: ENV })
    let output = ''
    child.stderr.on('data', (text: Buffer) => (output += text.toString()))
    const exited = once(child, 'exit')
    stop = async () => {
      child.kill('SIGTERM')
      await exited
    }
    await Promise.race([
      answers(started.port),
      exited.then(() => {
        throw new Error(`${proxy.name} has ended: ${output}`)
      }),
    ])
  })
  afterAll(async () => {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return started
}

/** Resolves once a process listens on the port. */
async function answers(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    })
    socket.destroy()
    if (isOpen) return
    await wait(20)
  }
}
