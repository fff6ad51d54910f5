import { randomBytes } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import { createRecordEvents } from '@registry-manager/events'
import type { Account } from '../principals/account.ts'
import { AUTH_SERVICE } from '../principals/principal.ts'
import { createBrowserSessions } from './browser-sessions.ts'
import { createBrowserSessionsRepository } from './browser-sessions-repository.ts'
import { createCookie } from './cookie.ts'
import type { RequestSessions } from './request-session.ts'
import { createRequestSessions } from './request-session.ts'

export interface BrowserSessionsDeps {
  readonly db: Database
  readonly findAccount: (ref: Pick<Account, 'id'>) => Promise<Account | undefined>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
}

/** Sessions of people who signed in with a browser, by a cookie. */
export function createBrowserSessionsFeature(deps: BrowserSessionsDeps): RequestSessions {
  const { db, findAccount, now, publicOrigin } = deps
  const repository = createBrowserSessionsRepository(db)
  const sessions = createBrowserSessions({
    ...repository,
    inTransaction: (work) =>
      inTransaction(db, (tx) =>
        work({
          ...createBrowserSessionsRepository(tx),
          recordEvents: createRecordEvents(tx, { principal: AUTH_SERVICE }),
        }),
      ),
    findAccount,
    now,
    randomBytes,
  })
  const cookie = createCookie('registry-manager-session', publicOrigin.startsWith('https:'))
  return createRequestSessions(sessions, cookie)
}
