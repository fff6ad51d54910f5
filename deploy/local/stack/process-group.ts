import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Start } from '../keep-running.ts'
import { keepRunning } from '../keep-running.ts'
import type { Launch } from '../run-launcher.ts'

/** Starts a process and keeps it running. Throws when its first start fails after all tries. */
export type Keep = (name: string, start: Start, tries?: number) => Promise<void>

/** A process whose address others need before it runs. */
export interface Planned {
  readonly url: string
  start(): Promise<void>
}

/** The processes of the stack, each with a log and a file with its process id. */
export interface Processes {
  /** Folder of the logs. */
  readonly logs: string
  logOf(name: string): string
  /** A group of processes that stop together. Groups stop one after the other, the last one first. */
  group(): Keep
  /** Sends a signal to a running process. */
  signal(name: string, signal: NodeJS.Signals): void
}

export function createProcesses(dataDir: string, { say, atEnd }: Launch): Processes {
  const [logs, pids] = [join(dataDir, 'logs'), join(dataDir, 'run')]
  for (const folder of [logs, pids]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Left by a start that was killed. Other files in the folder are not ours to remove.
  for (const name of readdirSync(pids)) if (name.endsWith('.pid')) rmSync(join(pids, name), { force: true })
  const running = new Map<string, number>()
  return {
    logs,
    logOf: (name) => join(logs, `${name}.log`),
    signal(name, signal) {
      const pid = running.get(name)
      if (pid !== undefined) process.kill(pid, signal)
    },
    group() {
      const stops: (() => Promise<void>)[] = []
      atEnd(() => Promise.all(stops.map((stop) => stop())))
      return async (name, start, tries) => {
        const pidFile = join(pids, `${name}.pid`)
        // The system may have given the id of an ended process to another one.
        const onPid = (pid: number | undefined) => {
          if (pid === undefined) {
            running.delete(name)
            rmSync(pidFile, { force: true })
          } else {
            running.set(name, pid)
            writeFileSync(pidFile, `${pid}\n`)
          }
        }
        const kept = await keepRunning(name, start, { say, onPid, tries })
        stops.push(kept.stop)
      }
    },
  }
}
