import type { Account, Role } from './account.ts'
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
}

/** What changes of a user. Absent stays as it is. */
export type UserChange = Partial<Omit<UserPlan, 'username'>>

const NO_DIRECTORY: FieldFault = { field: 'ad', detail: 'no directory is configured' }

/** Plans `POST /user`. */
export function planNewUser(input: UserInput): { plan: UserPlan } | { fault: FieldFault } {
  const { username, password, namespaces = [], enabled = true } = input
  if (username === undefined) return required('username')
  const role = roleOf(input, 'user')
  if (typeof role === 'object') return role
  if (input.ad === true) return { fault: NO_DIRECTORY }
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
  const role = roleOf(input, current.role)
  if (typeof role === 'object') return role
  if (input.ad === true) return { fault: NO_DIRECTORY }
  const directory = input.ad ?? current.directory
  const common = {
    // A role that nobody asked to change is left out: somebody else may be changing it just now.
    ...((input.role !== undefined || role !== current.role) && { role }),
    ...(enabled !== undefined && { enabled }),
    ...(namespaces && { namespaces }),
  }
  if (input.password === undefined) {
    if (current.directory && !directory) return required('password')
    return { change: common }
  }
  if (directory) return { change: common }
  const fault = passwordFault(input.password, current.username)
  if (fault !== undefined) return { fault: { field: 'password', detail: fault } }
  return { change: { ...common, directory, password: input.password } }
}

/** Whether a change ends what was issued before it: all do that touch what a token says or proves. */
export function raisesGeneration(current: Account, change: UserChange): boolean {
  return (
    change.password !== undefined ||
    (change.role ?? current.role) !== current.role ||
    (change.enabled ?? current.enabled) !== current.enabled ||
    (change.namespaces ?? current.namespaces).join() !== current.namespaces.join()
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
