import type { LookUpUser } from '../accounts/manage-users.ts'
import type { Directory } from './directory.ts'
import { directoryStateOf } from './directory-state.ts'
import type { GroupMap } from './group-map.ts'

/** Looks up a user whom an administrator makes a directory user. */
export function createLookUpUser({ find }: Pick<Directory, 'find'>, groups?: GroupMap): LookUpUser {
  return async (username) => {
    if (find === undefined) {
      return {
        fault: {
          field: 'ad',
          detail: 'cannot be true: directory users cannot be looked up (set DIRECTORY_BIND_DN)',
        },
      }
    }
    const lookup = await find(username)
    switch (lookup.outcome) {
      case 'found':
        return { directoryState: directoryStateOf(lookup, groups) }
      case 'gone':
        return { fault: { field: 'username', detail: 'matches no directory entry' } }
      case 'ambiguous':
        return { fault: { field: 'username', detail: 'matches more than one directory entry' } }
    }
  }
}
