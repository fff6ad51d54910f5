import type { EventDetail, NewEvent } from '@registry-manager/events'
import type { Account, Rights } from '../principals/account.ts'
import { ownRightsOf } from '../principals/account.ts'
import { AUTH_SERVICE } from '../principals/principal.ts'
import type { UserChange } from './plan-user.ts'

/** The cause of a change that no request asked for. Its events name the service as their principal. */
export interface ChangeCause {
  readonly cause: 'directory' | 'first-administrator' | 'provider'
}

export function userCreated(account: Account, cause?: ChangeCause): NewEvent {
  const { directory: ad, provider, role, enabled, namespaces } = account
  const detail = { ad, ...(provider !== undefined && { provider }), role, enabled, namespaces }
  return { action: 'user.create', ...about(account, cause, detail) }
}

/**
 * The events of a change: `user.password` for a new password, and `user.update` with the fields that have another value
 * now. None for a change that changes nothing.
 */
export function userChanged(
  before: Account,
  after: Account,
  { password }: UserChange,
  cause?: ChangeCause,
): NewEvent[] {
  const detail = {
    ...fieldChange('ad', before.directory, after.directory),
    ...fieldChange('provider', before.provider ?? null, after.provider ?? null),
    ...rightChange('role', before, after),
    ...rightChange('enabled', before, after),
    ...rightChange('namespaces', before, after),
    ...directoryChange(before, after),
  }
  const updated = Object.keys(detail).length > 0
  return [
    ...(typeof password === 'string'
      ? [{ action: 'user.password', ...about(after, cause, {}) } as const]
      : []),
    ...(updated ? [{ action: 'user.update', ...about(after, cause, detail) } as const] : []),
  ]
}

export function userDeleted(account: Account): NewEvent {
  const { role, namespaces } = account
  return { action: 'user.delete', ...about(account, undefined, { role, namespaces }) }
}

export function sessionsEnded(account: Account, cause?: ChangeCause): NewEvent {
  return { action: 'sessions.end', ...about(account, cause, {}) }
}

function about({ id, username }: Account, cause: ChangeCause | undefined, detail: EventDetail) {
  return {
    target: { kind: 'user', account: username, id },
    detail: { ...detail, ...cause },
    ...(cause && { principal: AUTH_SERVICE }),
  } as const
}

/**
 * The change of the effective value of a right. If that stays the same because the directory gives the right as well,
 * returns the change of the value that administrators gave.
 */
function rightChange(name: keyof Rights, before: Account, after: Account): EventDetail {
  const effective = fieldChange(name, before[name], after[name])
  if (Object.keys(effective).length > 0) return effective
  return fieldChange(name, ownRightsOf(before)[name], ownRightsOf(after)[name])
}

/** The change of the directory state that ended or gave rights. */
function directoryChange(
  { directoryState: before }: Account,
  { directoryState: after }: Account,
): EventDetail {
  if (before === undefined || after === undefined) return {}
  return fieldChange('directoryState', before.state, after.state)
}

function fieldChange(name: string, from: unknown, to: unknown): EventDetail {
  return JSON.stringify(from) === JSON.stringify(to) ? {} : { [name]: { from, to } }
}
