import { randomBytes, randomInt } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { RequestSessions } from '../browser-sessions/request-session.ts'
import type { ManagePersonalTokens } from '../personal-tokens/manage-personal-tokens.ts'
import type { Account } from '../principals/account.ts'
import { createFailureMemory } from '../sign-in/failure-memory.ts'
import { createSharedFailures } from '../sign-in/shared-failures.ts'
import { createSignInFailuresRepository } from '../sign-in/sign-in-failures-repository.ts'
import { createDeviceAuthorizationsRepository } from './device-authorizations-repository.ts'
import { createDeviceFlow } from './device-flow.ts'
import { deviceRoutes } from './device-routes.ts'
import { createWrongCodes } from './wrong-codes.ts'

export interface DeviceFlowDeps {
  readonly db: Database
  readonly findAccount: (ref: Pick<Account, 'id'>) => Promise<Account | undefined>
  readonly createPersonalToken: ManagePersonalTokens['create']
  /** Shared by the replicas. */
  readonly secret: string
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface DeviceFlowRegistration {
  readonly sessions: RequestSessions
  readonly unavailableDependency: UnavailableDependency
}

const MAX_ACCOUNTS = 10_000

/** Device authorization: programs without a browser get a personal token of the person who confirms their code. */
export function createDeviceFlowFeature(deps: DeviceFlowDeps) {
  const { db, findAccount, createPersonalToken, secret, publicOrigin, now } = deps
  const devices = createDeviceFlow({
    ...createDeviceAuthorizationsRepository(db),
    findAccount,
    async makePersonalToken(account, name, expiresAt) {
      const created = await createPersonalToken(account, { name, expiryDate: expiresAt.toISOString() })
      return created.outcome === 'created' ? created.password : undefined
    },
    now,
    randomBytes,
    randomInt: (max) => randomInt(max),
  })
  const failures = createSharedFailures({
    ...createSignInFailuresRepository(db),
    isUnavailable: isDatabaseUnavailable,
    memory: createFailureMemory(now, MAX_ACCOUNTS),
    secret,
    now,
  })
  return {
    poll: devices.poll,
    async register(app: FastifyInstance, { sessions, unavailableDependency }: DeviceFlowRegistration) {
      const wrongCodes = createWrongCodes(failures, now)
      await app.register(deviceRoutes, { devices, wrongCodes, sessions, publicOrigin, unavailableDependency })
    },
  }
}
