import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Start } from '../keep-running.ts'
import { keepRunning } from '../keep-running.ts'
import type { Launch } from '../launch.ts'

/** Keeps a part running from now on to the end. Throws when it does not start, however often that is tried. */
export type Keep = (name: string, start: Start, tries?: number) => Promise<void>

/** A part that others have to know the address of before it runs. */
export interface Planned {
  readonly url: string
  start(): Promise<void>
}

/** The processes that the stack is made of, each with a log and a file that holds its process id. */
export interface Parts {
  logOf(name: string): string
  /** A group of parts, which end together. Groups end in turn, the last one first. */
  group(): Keep
}

export function createParts(dataDir: string, { say, atEnd }: Launch): Parts {
  const [logs, pids] = [join(dataDir, 'logs'), join(dataDir, 'run')]
  rmSync(pids, { recursive: true, force: true })
  for (const folder of [logs, pids]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  return {
    logOf: (name) => join(logs, `${name}.log`),
    group() {
      const stops: (() => Promise<void>)[] = []
      atEnd(() => Promise.all(stops.map((stop) => stop())))
      return async (name, start, tries) => {
        const pidFile = join(pids, `${name}.pid`)
        // Nobody is to find the id of a process that is no more: it may be another's by then.
        const onPid = (pid: number | undefined) =>
          pid === undefined ? rmSync(pidFile, { force: true }) : writeFileSync(pidFile, `${pid}\n`)
        const kept = await keepRunning(name, start, { say, onPid, tries })
        stops.push(kept.stop)
      }
    },
  }
}
