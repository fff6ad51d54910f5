import type { Directory } from './directory.ts'
import type { DirectoryStanding } from './directory-state.ts'
import { standingOf } from './directory-state.ts'
import type { GroupMap } from './group-map.ts'
import type { FieldFault } from '../accounts/user-input.ts'

/** Finds out how the directory stands to somebody who is to be a directory user. Throws DirectoryUnavailable. */
export type Enrol = (
  username: string,
) => Promise<{ readonly standing: DirectoryStanding } | { readonly fault: FieldFault }>

export function createEnrolment(directory: Directory | undefined, groups?: GroupMap): Enrol {
  return async (username) => {
    if (directory === undefined)
      return { fault: { field: 'ad', detail: 'cannot be true: no directory is configured (DIRECTORY_URL)' } }
    if (directory.find === undefined) {
      return { fault: { field: 'ad', detail: 'nobody can be looked up: DIRECTORY_BIND_DN is not set' } }
    }
    const looked = await directory.find(username)
    switch (looked.outcome) {
      case 'found':
        return { standing: standingOf(looked, groups) }
      case 'gone':
        return { fault: { field: 'username', detail: 'is not in the directory' } }
      case 'ambiguous':
        return { fault: { field: 'username', detail: 'is more than one in the directory' } }
    }
  }
}
