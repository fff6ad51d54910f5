import { setTimeout as sleep } from 'node:timers/promises'
import { explainError, explainStartFailure } from '@registry-manager/http'

/** A launcher ends this long after it was told to stop, whatever is left. */
const STOP_MS = 4500
/** A step of a start that is told to stop may take this long. */
const STEP_MS = 2000

/** What a launcher does while it starts and runs. */
export interface Launch {
  say(line: string): void
  /** Registers what gives a resource back. The last resource that was taken is given back first. */
  atEnd(give: () => unknown): void
  /** Ends everything, because of what the line says. */
  endWith(line: string): Promise<never>
}

/** What a launcher prints once everything serves, and what follows when it was printed. */
export interface Started {
  readonly text: string
  readonly afterwards?: () => void
}

/** Thrown into a start that is told to stop: it takes no further step. */
class Stopping extends Error {}

/**
 * Runs a launcher: starts, prints what the start returns, and runs until it is told to stop or a fault ends it. A
 * failed start is explained in one line. A start that is told to stop prints nothing more: a password that was made is
 * then shown by the next start.
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

  // A terminal and a supervisor may both send a signal, and the launcher forwards it: only the first one counts.
  const stop = async () => {
    if (stopping !== undefined) return
    say('stopping')
    setTimeout(() => process.exit(1), STOP_MS).unref()
    stopping = close()
    await stopping
    // A start under way finishes its step, and gives back what it has taken.
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
