/**
 * Runs steps of another task before chosen calls to the file system, so that a test can try every
 * order.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import fsPromises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { fileURLToPath } from 'node:url'

type Step = () => Promise<unknown>
type Call = (...args: unknown[]) => Promise<unknown>

interface Run {
  /** Calls that the observed task has begun. */
  calls: number
  readonly steps: ReadonlyMap<number, Step>
}

const RUN = new AsyncLocalStorage<Run>()
const FUNCTIONS = ['open', 'lstat', 'stat', 'realpath'] as const
const METHODS = ['stat', 'read'] as const

/**
 * Intercepts the asynchronous calls to the file system of a task, until `restore` is called. Calls
 * of tasks that were not started by `interleave` pass.
 */
export async function hookCalls(): Promise<{ readonly restore: () => void }> {
  const file = await fsPromises.open(fileURLToPath(import.meta.url))
  const prototype: unknown = Object.getPrototypeOf(file)
  await file.close()
  const restores = [
    ...FUNCTIONS.map((name) => hook(fsPromises, name)),
    ...METHODS.map((name) => hook(prototype, name)),
  ]
  syncBuiltinESMExports()
  return {
    restore() {
      for (const restore of restores) restore()
      syncBuiltinESMExports()
    },
  }
}

/**
 * Runs `task`, and each of `steps` before the call of its number (from 1) begins. Returns the
 * result of the task and the number of calls that it made. A step whose number was not reached runs
 * at the end.
 */
export async function interleave<T>(
  task: () => Promise<T>,
  steps: ReadonlyMap<number, Step>,
): Promise<{ readonly result: T; readonly calls: number }> {
  const run = { calls: 0, steps }
  const result = await RUN.run(run, task)
  for (const [call, step] of steps) if (call > run.calls) await step()
  return { result, calls: run.calls }
}

function hook(target: unknown, name: string): () => void {
  const object = target as Record<string, Call>
  const original = object[name]
  if (original === undefined) throw new Error(`there is no ${name}`)
  object[name] = async function hooked(this: unknown, ...args) {
    const run = RUN.getStore()
    if (run !== undefined) {
      run.calls += 1
      const step = run.steps.get(run.calls)
      if (step !== undefined) await RUN.exit(step)
    }
    return original.apply(this, args)
  }
  return () => {
    object[name] = original
  }
}
