import type { Database } from '@registry-manager/database'
import { createRecordEvents } from '@registry-manager/events'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import { AUTH_SERVICE } from '../principals/principal.ts'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { auditRoutes } from './audit-routes.ts'
import { createEventsRepository } from './events-repository.ts'
import { createListEvents } from './list-events.ts'
import { createNamedAccountsRepository } from './named-accounts-repository.ts'
import { createRequestLog } from './request-log.ts'
import { createSignInLog } from './sign-in-log.ts'

export interface AuditDeps {
  readonly db: Database
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: { warn(details: object, message: string): void }
  readonly unavailableDependency: UnavailableDependency
}

/** The audit log: the API that reads events, and the events of refusals. */
export function createAudit({ db, now, log, unavailableDependency }: AuditDeps) {
  const shared = {
    recordEvents: createRecordEvents(db, { principal: AUTH_SERVICE }),
    now,
    onError: (err: unknown) => log.warn({ err }, 'could not record refusals; will retry'),
  }
  const signInLog = createSignInLog({ ...shared, ...createNamedAccountsRepository(db, now) })
  const requestLog = createRequestLog(shared)
  return {
    watchSignIns: signInLog.watch,
    noteRefusal: requestLog.note,
    register: async (app: FastifyInstance, principals: PrincipalOptions) => {
      await app.register(auditRoutes, {
        ...principals,
        listEvents: createListEvents(createEventsRepository(db)),
        unavailableDependency,
      })
    },
    start() {
      signInLog.start()
      requestLog.start()
    },
    /** Records the last refusals: stop before the database is closed. */
    async stop() {
      await Promise.all([signInLog.stop(), requestLog.stop()])
    },
  }
}
