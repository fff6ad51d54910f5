import type { NewEvent, RecordEvents } from '@registry-manager/events'
import { parseJsonWebToken } from '../principals/json-web-token.ts'
import { ANONYMOUS } from '../principals/principal.ts'
import { clientNetwork } from '../sign-in/client-address.ts'
import type { SignIn, SignInService } from '../sign-in/sign-in.ts'
import type { Counted, RefusalCollector, RefusalCollectorPorts } from './refusal-collector.ts'
import { countedEvent, createRefusalCollector, merge } from './refusal-collector.ts'

/** An account that has the username of a refused sign-in. */
export interface NamedAccount {
  readonly kind: 'user' | 'registry-token'
  readonly id: string
  /** As it was given. */
  readonly name: string
  readonly state: 'enabled' | 'disabled' | 'expired'
}

export interface SignInLogPorts extends Pick<RefusalCollectorPorts<unknown>, 'now' | 'onError' | 'context'> {
  /** The users and registry tokens that have these names, by their names in lower case. */
  findAccounts(names: readonly string[]): Promise<ReadonlyMap<string, NamedAccount>>
  readonly recordEvents: RecordEvents
}

export interface SignInLog extends Omit<RefusalCollector<unknown>, 'note'> {
  /** Wraps a sign-in service so that its refused sign-ins are recorded. */
  watch(service: SignInService): SignInService
}

interface RefusedSignIn {
  /**
   * In lower case; null for a refresh token and a JSON Web Token, for a name that no account can have, and if there
   * were too many names.
   */
  readonly username: string | null
  /** Made by `clientNetwork`; null if there were too many different ones to record each. */
  readonly address: string | null
  /** Null if there were too many different refusals to record each. */
  readonly by: 'password' | 'refresh-token' | 'foreign-token' | 'condition' | null
  readonly isThrottled: boolean
}

const MAX_NAME_LENGTH = 255

/**
 * Records refused sign-ins: one event for each account, network and reason, with their count, every few seconds. If
 * there are too many, the username is dropped first, so that invented usernames do not hide their origin. A username
 * that no account has is never stored, because people type their password into the wrong field: its event has no
 * account.
 */
export function createSignInLog({ findAccounts, recordEvents, ...ports }: SignInLogPorts): SignInLog {
  const { note, ...collector } = createRefusalCollector<RefusedSignIn>({
    ...ports,
    sourceOf: ({ address }) => address ?? '',
    generalize: (refusal) => ({ ...refusal, username: null, by: null }),
    anonymize: (refusal) => ({ ...refusal, address: null }),
    async record(counted) {
      const names = new Set(counted.flatMap(({ refusal: { username } }) => username ?? []))
      const accounts = names.size === 0 ? new Map<string, NamedAccount>() : await findAccounts([...names])
      await recordEvents(...eventsOf(counted, accounts))
    },
  })

  const noteRefused = (
    result: SignIn,
    refused: { readonly username: string | null; readonly address: string; readonly by: RefusedSignIn['by'] },
  ): void => {
    const { outcome } = result
    if (outcome !== 'refused' && outcome !== 'throttled') return
    const isRight = outcome === 'refused' && result.condition !== undefined
    const by = isRight ? 'condition' : refused.by
    note({ ...refused, by, address: clientNetwork(refused.address), isThrottled: outcome === 'throttled' })
  }
  return {
    ...collector,
    watch: (service) => ({
      ...service,
      async withPassword(username, password, address, freshness) {
        const result = await service.withPassword(username, password, address, freshness)
        // The username beside a JSON Web Token means nothing.
        const isToken = parseJsonWebToken(password) !== undefined
        noteRefused(
          result,
          isToken
            ? { username: null, address, by: 'foreign-token' }
            : { username: possibleName(username), address, by: 'password' },
        )
        return result
      },
      async withRefreshToken(token, audience, address) {
        const result = await service.withRefreshToken(token, audience, address)
        noteRefused(result, { username: null, address, by: 'refresh-token' })
        return result
      },
    }),
  }
}

/** Null for a name that no account can have: Postgres has no NUL in strings. */
function possibleName(username: string): string | null {
  const isPossible = username !== '' && username.length <= MAX_NAME_LENGTH && !username.includes('\0')
  return isPossible ? username.toLowerCase() : null
}

/** Usernames without an account are one event together. */
function eventsOf(
  refusals: readonly Counted<RefusedSignIn>[],
  accounts: ReadonlyMap<string, NamedAccount>,
): NewEvent[] {
  const merged = new Map<string, readonly [Counted<RefusedSignIn>, string, NamedAccount | undefined]>()
  for (const counted of refusals) {
    const { username, address } = counted.refusal
    const account = username === null ? undefined : accounts.get(username)
    const reason = reasonOf(counted.refusal, account)
    const key = JSON.stringify([account?.id, address, reason])
    const [known] = merged.get(key) ?? []
    merged.set(key, [known === undefined ? counted : merge(known, counted), reason, account])
  }
  return [...merged.values()].map(([counted, reason, account]) => ({
    action: 'sign-in',
    principal: ANONYMOUS,
    target: account
      ? { kind: account.kind, account: account.name, id: account.id }
      : { kind: 'user', account: null },
    ...(counted.refusal.address !== null && { address: counted.refusal.address }),
    ...countedEvent(counted, reason),
  }))
}

function reasonOf({ isThrottled, by }: RefusedSignIn, account: NamedAccount | undefined): string {
  if (isThrottled) return 'throttled'
  if (by === null) return 'flood'
  if (by === 'refresh-token') return 'invalid-refresh-token'
  if (by === 'condition') return 'condition'
  if (by === 'foreign-token') return 'untrusted-token'
  if (account === undefined) return 'unknown-user'
  return account.state === 'enabled' ? 'wrong-password' : account.state
}
