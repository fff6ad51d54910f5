import type { Account, Role } from './account.ts'
import type { DirectoryStanding } from '../directory/directory-state.ts'
import { ownPowersOf, powersOf } from '../directory/directory-state.ts'
import { passwordFault } from './password-policy.ts'
import type { FieldFault, UserInput } from './user-input.ts'

/** A new user as it is to be stored; the password still has to be hashed. */
export interface UserPlan {
  readonly username: string
  readonly directory: boolean
  readonly role: Role
  readonly enabled: boolean
  readonly namespaces: readonly string[]
  /** Null for a directory user. */
  readonly password: string | null
  /** What the directory says of a directory user. */
  readonly standing?: DirectoryStanding
}

/** What changes of a user. Absent stays as it is. */
export type UserChange = Partial<Omit<UserPlan, 'username'>>

/** Plans `POST /user`. A directory user's standing has to be found out. */
export function planNewUser(input: UserInput): { plan: UserPlan } | { fault: FieldFault } {
  const { username, password, namespaces = [], enabled = true } = input
  if (username === undefined) return required('username')
  const role = roleOf(input, 'user')
  if (typeof role === 'object') return role
  if (input.ad === true) {
    return { plan: { username, directory: true, role, enabled, namespaces, password: null } }
  }
  if (password === undefined) return required('password')
  const fault = passwordFault(password, username)
  if (fault !== undefined) return { fault: { field: 'password', detail: fault } }
  return { plan: { username, directory: false, role, enabled, namespaces, password } }
}

/** Plans `PATCH /user`: overwrites what is given, leaves the rest. */
export function planUserChange(
  current: Account,
  input: UserInput,
): { change: UserChange } | { fault: FieldFault } {
  const { enabled, namespaces } = input
  const own = ownPowersOf(current)
  const role = roleOf(input, own.role)
  if (typeof role === 'object') return role
  const directory = input.ad ?? current.directory
  const common = {
    // A role that nobody asked to change is left out: somebody else may be changing it just now.
    ...((input.role !== undefined || role !== own.role) && { role }),
    ...(enabled !== undefined && { enabled }),
    ...(namespaces && { namespaces }),
  }
  if (directory) {
    return { change: current.directory ? common : { ...common, directory, password: null } }
  }
  if (input.password === undefined) return current.directory ? required('password') : { change: common }
  const fault = passwordFault(input.password, current.username)
  if (fault !== undefined) return { fault: { field: 'password', detail: fault } }
  const forget = current.directory && { standing: undefined }
  return { change: { ...common, directory, password: input.password, ...forget } }
}

/** Whether a change ends what was issued before it: all do that touch what a token says or proves. */
export function raisesGeneration(current: Account, change: UserChange): boolean {
  const own = ownPowersOf(current)
  const powers = powersOf(
    {
      role: change.role ?? own.role,
      enabled: change.enabled ?? own.enabled,
      namespaces: change.namespaces ?? own.namespaces,
    },
    'standing' in change ? change.standing : current.standing,
  )
  return (
    change.password !== undefined ||
    powers.role !== current.role ||
    powers.enabled !== current.enabled ||
    powers.namespaces.join() !== current.namespaces.join()
  )
}

/** Whether somebody is one of those of whom there must be one. */
export function isAdministrator(account: { role: Role; enabled: boolean }): boolean {
  return account.role === 'cluster-administrator' && account.enabled
}

function roleOf({ admin, role }: UserInput, current: Role): Role | { fault: FieldFault } {
  if (admin !== undefined && role !== undefined && admin !== (role === 'cluster-administrator')) {
    return { fault: { field: 'role', detail: `${role} disagrees with admin=${admin}: give one of them` } }
  }
  if (role !== undefined) return role
  if (admin === true) return 'cluster-administrator'
  // Taking the cluster administrator's rights makes a user; an administrator never had them.
  return admin === false && current === 'cluster-administrator' ? 'user' : current
}

function required(field: string): { fault: FieldFault } {
  return { fault: { field, detail: 'is required' } }
}
