import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const steps: (() => unknown)[] = []
let undone = Promise.resolve()
let ending = false

/** Registers a step that runs when the measurement ends, also after an error. The steps run in reverse order. */
export function atEnd(step: () => unknown): void {
  steps.push(step)
  if (ending) throw new Error('the bench is being stopped')
}

/** Runs all steps. Reports the error of a step and continues. */
export function cleanUp(): Promise<void> {
  // Runs are queued: a caller that ends the process must wait for the steps in progress.
  undone = undone.then(undoAll)
  return undone
}

async function undoAll(): Promise<void> {
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      await step()
    } catch (error) {
      process.stderr.write(`cleanup failed: ${(error as Error).message}\n`)
    }
  }
}

/** Runs all steps, including steps that are registered during the cleanup, and ends the process. */
export async function endWith(code: number): Promise<never> {
  ending = true
  await cleanUp()
  process.exit(code)
}

/** Creates a folder that is removed at the end. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-bench-'))
  atEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}
