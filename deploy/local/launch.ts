import { explainStartFailure } from '@registry-manager/service-kit'

/** It ends this long after it was told to, whatever is left. */
const STOP_MS = 4500

/** What a launcher does while it starts and runs. */
export interface Launch {
  say(line: string): void
  /** Has something given back at the end; what was taken last is given back first. */
  atEnd(give: () => unknown): void
  /** Ends everything, because of what the line says. */
  endWith(line: string): Promise<never>
}

/**
 * Runs a launcher: starts, prints what the start answers, and goes on until it is told to stop or a fault ends it.
 * What keeps it from starting is told in one line.
 */
export function launch(start: (launch: Launch) => Promise<string>): void {
  const say = (line: string) => process.stdout.write(`· ${line}\n`)
  const closing: (() => unknown)[] = []

  const close = async () => {
    for (const give of closing.splice(0).toReversed()) {
      try {
        await give()
      } catch (error) {
        process.stderr.write(`while stopping: ${(error as Error).message}\n`)
      }
    }
  }
  const endWith = async (line: string): Promise<never> => {
    process.stderr.write(`${line}\n`)
    setTimeout(() => process.exit(1), STOP_MS).unref()
    await close()
    process.exit(1)
  }

  // A terminal and a supervisor may both tell us, and the launcher passes it on: one telling is enough, and more
  // change nothing.
  let stopping: Promise<void> | undefined
  const stop = () => {
    if (stopping !== undefined) return
    say('stopping')
    setTimeout(() => process.exit(1), STOP_MS).unref()
    stopping = close().then(() => process.exit(0))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
  process.on('uncaughtException', (error) => void endWith(`a fault that nobody foresaw: ${error.stack}`))

  start({ say, atEnd: (give) => closing.push(give), endWith }).then(
    (text) => process.stdout.write(text),
    (error: unknown) => endWith(explainStartFailure(error)),
  )
}
