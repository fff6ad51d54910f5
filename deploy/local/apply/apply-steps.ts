import type { Path } from './access-file.ts'
import { toPath } from './access-file.ts'
import type { ManagementClient } from './management-client.ts'
import { RequestFailed } from './management-client.ts'
import type { NewPassword, Step } from './step.ts'

export type Applied =
  | { readonly outcome: 'done' }
  | {
      readonly outcome: 'failed'
      readonly done: readonly Step[]
      /** The step that failed. Its changes are unknown if the server did not respond. */
      readonly failed: Step
      readonly left: readonly Step[]
      readonly error: RequestFailed
      /** The place of the value in the file that the server refused. */
      readonly path: Path
    }

/** Runs the steps in order until one fails. `keep` stores a new password before the next step. */
export async function applySteps(
  steps: readonly Step[],
  client: ManagementClient,
  keep: (made: NewPassword) => void,
): Promise<Applied> {
  for (const [index, step] of steps.entries()) {
    try {
      const made = await step.run(client)
      if (made) keep(made)
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      const [done, left] = [steps.slice(0, index), steps.slice(index + 1)]
      return { outcome: 'failed', done, failed: step, left, error, path: pathOf(step, error.field) }
    }
  }
  return { outcome: 'done' }
}

/** The path of a field that the server refused: its lists of entries are `items` or `rules`. */
function pathOf({ path }: Step, field = ''): Path {
  const parts = toPath(field.split('.'))
  return [...path, ...(parts[0] === 'items' || parts[0] === 'rules' ? parts.slice(1) : parts)]
}
