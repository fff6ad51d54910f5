import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const steps: (() => unknown)[] = []

/** Has something undone when a measurement is over, however it ended; the last comes first. */
export function atEnd(step: () => unknown): void {
  steps.push(step)
}

/** Undoes everything. What cannot be undone is told, and the rest still is. */
export async function cleanUp(): Promise<void> {
  for (const step of steps.splice(0).toReversed()) {
    try {
      await step()
    } catch (error) {
      process.stderr.write(`while cleaning up: ${(error as Error).message}\n`)
    }
  }
}

/** A folder that is removed at the end. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-bench-'))
  atEnd(() => rm(folder, { recursive: true, force: true }))
  return folder
}
