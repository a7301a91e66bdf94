import { fork, type ChildProcess, type Serializable } from 'node:child_process'
import type { Server } from 'node:http'
import { fileURLToPath } from 'node:url'

/**
 * Without this flag V8 collects the whole heap of a small server once per 32 MB that it receives;
 * the README beside this file says why. All processes get the flag, so that the size of the heap of
 * a contestant has no effect.
 */
const NODE_FLAGS = ['--initial-old-space-size=64']

/** Starts a compiled file of this folder as a Node process with a message channel. */
export function start(file: string, args: readonly string[] = []): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv: NODE_FLAGS })
}

/**
 * Sends `message` and resolves with the next message of the child; rejects when it ends instead.
 */
export async function ask(child: ChildProcess, message: Serializable): Promise<unknown> {
  const answer = nextMessage(child)
  child.send(message)
  return await answer
}

/** Resolves with the next message of the child; rejects when the child ends or reports an error. */
export async function nextMessage(child: ChildProcess): Promise<unknown> {
  const message = await new Promise<unknown>((resolve, reject) => {
    const onExit = () => reject(new Error(`${child.spawnfile}: ended without an answer`))
    child.once('exit', onExit)
    child.once('message', (value: unknown) => {
      child.off('exit', onExit)
      resolve(value)
    })
  })
  if (isObject(message) && typeof message['error'] === 'string') throw new Error(message['error'])
  return message
}

/** The number that a message carries under `name`. */
export function numberOf(message: unknown, name: string): number {
  const value = isObject(message) ? message[name] : undefined
  if (typeof value !== 'number') throw new TypeError(`${name}: not a number: ${typeof value}`)
  return value
}

/** The port of a server that listens. */
export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw new TypeError('not listening on a port')
  return address.port
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
