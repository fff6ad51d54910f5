import type { ManagementClient } from './management-client.ts'
import type { Path } from './access-file.ts'

/** One difference between the file and the server: added, removed or changed. */
export interface Change {
  readonly sign: '+' | '-' | '~'
  readonly text: string
}

/** The changes that one request, or a few requests about the same thing, make. */
export interface Step {
  /** The target of the change, such as `namespace team`. */
  readonly title: string
  /** Never empty. */
  readonly changes: readonly Change[]
  /** The place in the file that asks for the changes. The field that a refused request names is below it. */
  readonly path: Path
  /** Returns the password of a new account, if the server made one. */
  run(client: ManagementClient): Promise<NewPassword | void>
  /** Whether a new account gets a password that must be stored. */
  readonly makesPassword?: boolean
}

export interface NewPassword {
  readonly username: string
  readonly password: string
}

/** The changes between two lists whose entries have texts that are unique. */
export function compareLists(present: readonly string[], wanted: readonly string[]): Change[] {
  const [before, after] = [new Set(present), new Set(wanted)]
  return [
    ...wanted.filter((text) => !before.has(text)).map((text) => ({ sign: '+', text }) as const),
    ...present.filter((text) => !after.has(text)).map((text) => ({ sign: '-', text }) as const),
  ]
}

/** The steps with their changes, for people. */
export function renderSteps(steps: readonly Step[]): string {
  return steps
    .map(({ title, changes }) => [title, ...changes.map(({ sign, text }) => `  ${sign} ${text}`)].join('\n'))
    .join('\n')
}

/** The numbers of differences, such as `2 added, 0 changed, 1 removed`. */
export function countChanges(steps: readonly Step[]): string {
  const changes = steps.flatMap((step) => step.changes)
  const count = (wanted: Change['sign']) => changes.filter(({ sign }) => sign === wanted).length
  return `${count('+')} added, ${count('~')} changed, ${count('-')} removed`
}
