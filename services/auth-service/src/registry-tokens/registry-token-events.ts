import type { EventDetail, NewEvent } from '@registry-manager/events'
import type { RegistryToken } from '../principals/registry-token.ts'

/** The fields of a registry token that events describe, by the names of the management API. */
function describe({ scopes, expiresAt, enabled, conditions }: RegistryToken) {
  return {
    scopes: scopes.map(({ type, name, actions }) => ({ type, name, actions })),
    expiryDate: expiresAt?.toISOString() ?? null,
    status: enabled ? 'enabled' : 'disabled',
    conditions: conditions ?? null,
  }
}

export function registryTokenCreated(registryToken: RegistryToken): NewEvent {
  const { conditions, ...fields } = describe(registryToken)
  const detail = { ...fields, ...(conditions && { conditions }) }
  return { action: 'registry-token.create', ...about(registryToken, detail) }
}

/** None for a change that changes nothing. */
export function registryTokenChanged(before: RegistryToken, after: RegistryToken): NewEvent[] {
  const detail = changesOf(before, after)
  if (Object.keys(detail).length === 0) return []
  return [{ action: 'registry-token.update', ...about(after, detail) }]
}

/** A new password, possibly with changed fields. The old password keeps working for `overlapMs`. */
export function registryTokenRotated(
  before: RegistryToken,
  after: RegistryToken,
  overlapMs: number,
): NewEvent {
  const detail = { overlapSeconds: overlapMs / 1000, ...changesOf(before, after) }
  return { action: 'registry-token.rotate', ...about(after, detail) }
}

export function registryTokenDeleted(registryToken: RegistryToken): NewEvent {
  const { scopes } = describe(registryToken)
  return { action: 'registry-token.delete', ...about(registryToken, { scopes }) }
}

function about({ id, username }: RegistryToken, detail: EventDetail) {
  return { target: { kind: 'registry-token', account: username, id }, detail } as const
}

function changesOf(before: RegistryToken, after: RegistryToken): EventDetail {
  const [from, to] = [describe(before), describe(after)]
  const names = Object.keys(from) as (keyof typeof from)[]
  const changed = names.filter((name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]))
  return Object.fromEntries(changed.map((name) => [name, { from: from[name], to: to[name] }]))
}
