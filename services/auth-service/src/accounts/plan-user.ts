import type { FieldFault } from '@registry-manager/http'
import type { Role } from '@registry-manager/principal'
import type { Account, DirectoryState, Rights } from '../principals/account.ts'
import { effectiveRights, ownRightsOf } from '../principals/account.ts'
import { passwordFault } from '../principals/password-policy.ts'
import type { NewUserInput, UserInput } from './user-input.ts'

/** A new user. The password is not hashed yet. */
export interface UserPlan extends Rights {
  readonly username: string
  readonly directory: boolean
  /** The OpenID Connect provider at which the user signs in; null for none. */
  readonly provider?: string | null
  /** Null for a user of the directory or of a provider, and with `passwordHash`. */
  readonly password: string | null
  /** The bcrypt hash of the password in another system. */
  readonly passwordHash?: string
  /** The directory state of a directory user. */
  readonly directoryState?: DirectoryState
}

/** A change of a user. Absent fields keep their values. */
export type UserChange = Partial<Omit<UserPlan, 'username' | 'passwordHash'>>

/** The fields of a change, and the username of the user to change. */
export type UserChangeInput = Partial<Omit<UserInput, 'username'>>

/** Plans `POST /user`. The caller adds the directory state of a directory user to the plan. */
export function planNewUser(input: NewUserInput): { plan: UserPlan } | { fault: FieldFault } {
  const { username, password, enabled = true } = input
  const namespaces = normaliseNamespaces(input.namespaces ?? [])
  const role = roleOf(input, 'user')
  if (typeof role === 'object') return role
  if (input.provider) {
    if (input.ad === true) return contradicted(input.provider)
    const { provider } = input
    return { plan: { username, directory: false, provider, role, enabled, namespaces, password: null } }
  }
  if (input.ad === true) {
    return { plan: { username, directory: true, role, enabled, namespaces, password: null } }
  }
  const { password_hash: passwordHash } = input
  if (passwordHash !== undefined) {
    const detail = 'contradicts password; send only one of the two fields'
    if (password !== undefined) return { fault: { field: 'password_hash', detail } }
    return { plan: { username, directory: false, role, enabled, namespaces, password: null, passwordHash } }
  }
  if (password === undefined) return required('password')
  const fault = passwordFault(password, username)
  if (fault !== undefined) return { fault: { field: 'password', detail: fault } }
  return { plan: { username, directory: false, role, enabled, namespaces, password } }
}

/** Plans `PATCH /user`. Fields that are not given keep their values. */
export function planUserChange(
  current: Account,
  input: UserChangeInput,
): { change: UserChange } | { fault: FieldFault } {
  const { enabled, namespaces } = input
  const own = ownRightsOf(current)
  const role = roleOf(input, own.role)
  if (typeof role === 'object') return role
  const directory = input.ad ?? current.directory
  const common = {
    // A role that was not given is left out: a concurrent request may be changing it.
    ...((input.role !== undefined || role !== own.role) && { role }),
    ...(enabled !== undefined && { enabled }),
    ...(namespaces && { namespaces: normaliseNamespaces(namespaces) }),
  }
  if (input.provider && input.ad === true) return contradicted(input.provider)
  // An empty string removes the provider.
  const provider = input.ad === true ? '' : (input.provider ?? current.provider ?? '')
  if (provider !== '') {
    if (provider === current.provider) return { change: common }
    const withoutDirectory = current.directory && { directoryState: undefined }
    return { change: { ...common, directory: false, provider, password: null, ...withoutDirectory } }
  }
  const withoutProvider = current.provider !== undefined && { provider: null }
  if (directory) {
    return {
      change: current.directory ? common : { ...common, directory, ...withoutProvider, password: null },
    }
  }
  if (input.password === undefined) {
    return current.directory || current.provider !== undefined ? required('password') : { change: common }
  }
  const fault = passwordFault(input.password, current.username)
  if (fault !== undefined) return { fault: { field: 'password', detail: fault } }
  const withoutDirectory = current.directory && { directoryState: undefined }
  return {
    change: { ...common, directory, ...withoutProvider, password: input.password, ...withoutDirectory },
  }
}

/** Whether a change revokes the tokens issued before it: a change of the password or of the effective rights does. */
export function raisesGeneration(current: Account, change: UserChange): boolean {
  const own = ownRightsOf(current)
  const rights = effectiveRights(
    {
      role: change.role ?? own.role,
      enabled: change.enabled ?? own.enabled,
      namespaces: change.namespaces ?? own.namespaces,
    },
    'directoryState' in change ? change.directoryState : current.directoryState,
  )
  return (
    change.password !== undefined ||
    rights.role !== current.role ||
    rights.enabled !== current.enabled ||
    rights.namespaces.join() !== current.namespaces.join()
  )
}

function roleOf({ admin, role }: UserChangeInput, current: Role): Role | { fault: FieldFault } {
  if (admin !== undefined && role !== undefined && admin !== (role === 'cluster-administrator')) {
    return {
      fault: { field: 'role', detail: `${role} contradicts admin=${admin}; send only one of the two fields` },
    }
  }
  if (role !== undefined) return role
  if (admin === true) return 'cluster-administrator'
  // `admin=false` turns a cluster administrator into a user and leaves other roles unchanged.
  return admin === false && current === 'cluster-administrator' ? 'user' : current
}

/** Namespaces as they are stored and compared: sorted, each once. */
export function normaliseNamespaces(namespaces: readonly string[]): string[] {
  return [...new Set(namespaces)].toSorted()
}

function contradicted(provider: string): { fault: FieldFault } {
  const detail = `${provider} contradicts ad=true; send only one of the two fields`
  return { fault: { field: 'provider', detail } }
}

function required(field: string): { fault: FieldFault } {
  return { fault: { field, detail: 'is required' } }
}
