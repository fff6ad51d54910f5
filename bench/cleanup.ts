import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const steps: (() => unknown)[] = []
let ending: Promise<void> | undefined

/** Has something undone when a measurement is over, however it ended; the last comes first. */
export function atEnd(step: () => unknown): void {
  steps.push(step)
  if (ending !== undefined) throw new Error('the bench is being stopped')
}

/** Undoes everything. What cannot be undone is told, and the rest still is. */
export async function cleanUp(): Promise<void> {
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      await step()
    } catch (error) {
      process.stderr.write(`while cleaning up: ${(error as Error).message}\n`)
    }
  }
}

/** Undoes everything, what begins meanwhile too, and ends the process. */
export async function endWith(code: number): Promise<never> {
  ending ??= cleanUp()
  await ending
  process.exit(code)
}

/** A folder that is removed at the end. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-bench-'))
  atEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}
