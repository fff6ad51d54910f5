import { badField, ProblemError } from '@registry-manager/http'
import type { PersonalTokenCreation } from './manage-personal-tokens.ts'
import { MAX_PERSONAL_TOKENS } from './manage-personal-tokens.ts'

/** The problem of a personal token that was not created. */
export function creationProblem(
  refused: Exclude<PersonalTokenCreation, { outcome: 'created' }>,
  username: string,
): ProblemError {
  switch (refused.outcome) {
    case 'invalid':
      return badField(refused.fault)
    case 'taken':
      return conflict(
        'you already have a personal token with this name, and its password cannot be shown again; choose another name',
        'name',
      )
    case 'too-many':
      return conflict(`you have ${MAX_PERSONAL_TOKENS} personal tokens, which is the limit; delete one first`)
    case 'not-refreshed':
      return conflict(
        'directory users can have personal tokens only if the directory has a service account (DIRECTORY_BIND_DN), ' +
          'because registry-manager must notice when a user is disabled there',
      )
    case 'no-owner':
      return noUser(username)
  }
}

export function noUser(username: string): ProblemError {
  return new ProblemError({ status: 404, detail: `there is no user ${username}` })
}

function conflict(detail: string, field?: string): ProblemError {
  return new ProblemError({ status: 409, detail, ...(field !== undefined && { field }) })
}
