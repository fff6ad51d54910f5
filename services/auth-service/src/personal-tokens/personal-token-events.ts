import type { EventDetail, NewEvent } from '@registry-manager/events'
import type { ManagedPersonalToken } from '../principals/personal-token.ts'

export function personalTokenCreated(personalToken: ManagedPersonalToken): NewEvent {
  const expiryDate = personalToken.expiresAt?.toISOString() ?? null
  return {
    action: 'personal-token.create',
    ...about(personalToken, { ...describeLimits(personalToken), expiryDate }),
  }
}

export function personalTokenDeleted(personalToken: ManagedPersonalToken): NewEvent {
  return { action: 'personal-token.delete', ...about(personalToken, describeLimits(personalToken)) }
}

function describeLimits({ scopes, conditions }: ManagedPersonalToken) {
  return {
    scopes: scopes && scopes.map(({ type, name, actions }) => ({ type, name, actions })),
    ...(conditions && { conditions: { ...conditions } }),
  }
}

function about({ id: tokenId, name: token, owner }: ManagedPersonalToken, detail: EventDetail) {
  const { username: account, id } = owner
  return { target: { kind: 'personal-token', account, id, token, tokenId }, detail } as const
}
