import { setTimeout as sleep } from 'node:timers/promises'
import { explainError, explainStartFailure } from '@registry-manager/http'

/** A launcher exits this long after a signal, even if resources are left. */
const STOP_MS = 4500
/** Time for which a launcher that is stopped during its start waits for the running step. */
const STEP_MS = 2000

/** The functions that a launcher can use while it starts and runs. */
export interface Launch {
  say(line: string): void
  /** Registers a function that releases a resource. The last resource is released first. */
  atEnd(give: () => unknown): void
  /** Prints a line to stderr, releases everything and exits with code 1. */
  endWith(line: string): Promise<never>
}

/** The banner that a launcher prints once everything serves, and the work that it does after that. */
export interface Started {
  readonly text: string
  readonly afterwards?: () => void
}

/** Ends a start that is stopped: it takes no further step. */
class Stopping extends Error {}

/**
 * Runs a launcher: starts, prints the text that the start returns, and runs until a signal or a fault ends it. A
 * failed start is explained in one line. A start that is stopped prints nothing more, so that the next start shows a
 * password that was generated.
 */
export function launch(start: (launch: Launch) => Promise<Started>): void {
  const say = (line: string) => process.stdout.write(`· ${line}\n`)
  const closing: (() => unknown)[] = []
  let stopping: Promise<void> | undefined

  const giveBack = async (give: () => unknown) => {
    try {
      await give()
    } catch (error) {
      process.stderr.write(`while stopping: ${explainError(error)}\n`)
    }
  }
  const close = async () => {
    for (const give of closing.splice(0).toReversed()) await giveBack(give)
  }
  const atEnd = (give: () => unknown) => {
    if (stopping === undefined) {
      closing.push(give)
      return
    }
    stopping = Promise.all([stopping, giveBack(give)]).then(() => undefined)
    throw new Stopping()
  }
  let failing = false
  const endWith = async (line: string): Promise<never> => {
    if (!failing) process.stderr.write(`${line}\n`)
    failing = true
    setTimeout(() => process.exit(1), STOP_MS).unref()
    await close()
    process.exit(1)
  }

  // A terminal and a supervisor may both send a signal. Only the first one counts.
  const stop = async () => {
    if (stopping !== undefined) return
    say('stopping')
    setTimeout(() => process.exit(1), STOP_MS).unref()
    stopping = close()
    await stopping
    // A start under way finishes its step and releases its resources.
    await Promise.race([starting, sleep(STEP_MS)])
    await stopping
    process.exit(0)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void stop())
  process.on(
    'uncaughtException',
    (error) => void endWith(`internal error: ${error?.stack ?? explainError(error)}`),
  )

  const run = async () => {
    try {
      const { text, afterwards } = await start({ say, atEnd, endWith })
      if (stopping !== undefined) return
      process.stdout.write(text)
      afterwards?.()
    } catch (error) {
      if (stopping === undefined) await endWith(explainStartFailure(error))
    }
  }
  const starting = run()
}
