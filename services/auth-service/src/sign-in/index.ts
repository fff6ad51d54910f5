import type { Database } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import type { Metrics } from '@registry-manager/http'
import type { StoredAccount } from '../principals/account.ts'
import type { NewCredentialCache } from './credential-caches.ts'
import { createFailureMemory } from './failure-memory.ts'
import { createKnownAddresses } from './known-addresses.ts'
import { createKnownAddressesRepository } from './known-addresses-repository.ts'
import { countSignIns } from './metrics.ts'
import { createSharedFailures } from './shared-failures.ts'
import type { SignInMethod, SignInService } from './sign-in.ts'
import { countRefusals, createSignIn } from './sign-in.ts'
import { createSignInFailuresRepository } from './sign-in-failures-repository.ts'
import { createSignInLimits } from './sign-in-limits.ts'
import type { CachedUser, UserSignInPorts } from './user-sign-in.ts'
import { KNOWN_MS, createUserSignIn } from './user-sign-in.ts'

export interface SignInFeatureDeps extends Omit<UserSignInPorts, 'cache' | 'limits' | 'now'> {
  readonly db: Database
  /** Methods whose secrets are random, such as registry tokens. Tried before the passwords of users, in their order. */
  readonly methods: readonly SignInMethod[]
  readonly newCredentialCache: NewCredentialCache
  /** Shared by the replicas. */
  readonly secret: string
  readonly metrics: Metrics
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Receives errors of background writes, which are retried. */
  readonly onError: (error: unknown) => void
}

export interface SignInFeature {
  readonly signIn: SignInService
  start(): void
  stop(): Promise<void>
}

const MAX_FAILURES = 50_000

export function createSignInFeature(deps: SignInFeatureDeps): SignInFeature {
  const { db, methods, newCredentialCache, secret, metrics, now, onError, ...ports } = deps
  const addresses = createKnownAddresses({
    ...createKnownAddressesRepository(db),
    isUnavailable: isDatabaseUnavailable,
    now,
    onError,
  })
  const failures = createSharedFailures({
    ...createSignInFailuresRepository(db),
    isUnavailable: isDatabaseUnavailable,
    memory: createFailureMemory(now, MAX_FAILURES),
    secret,
    now,
  })
  const limits = createSignInLimits<StoredAccount>({ failures, addresses, now })
  const cache = newCredentialCache<CachedUser>('users', Math.max(KNOWN_MS, ports.offlineMs))
  const users = createUserSignIn({ ...ports, cache, limits, now })
  const limited = methods.map((method) => countRefusals(method, limits.refuseToken))
  return {
    signIn: countSignIns(metrics, createSignIn([...limited, users], users)),
    start: addresses.start,
    stop: addresses.stop,
  }
}
