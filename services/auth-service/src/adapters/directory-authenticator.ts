import type { Client } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import { fillBindTemplate, fillFilter, isDnTemplate } from '../domain/directory-filter.ts'
import type { Directory, Looked, Verification } from '../domain/directory.ts'
import { DirectoryAway } from '../domain/directory.ts'
import { isSameDn } from '../domain/distinguished-name.ts'
import type { DirectoryConnections } from './directory-connections.ts'
import type { DirectoryMetrics } from './directory-metrics.ts'
import type { DirectorySearch } from './directory-search.ts'
import type { DirectoryLog } from './directory-servers.ts'

export interface DirectoryAuthenticatorOptions {
  readonly connections: DirectoryConnections
  readonly search: DirectorySearch
  /** Whether there is a service account, which finds users. */
  readonly hasService: boolean
  /** How users bind without having been found first. */
  readonly bindTemplate: string | undefined
  readonly log: DirectoryLog
  readonly metrics: DirectoryMetrics
}

/** For all that one question takes, in milliseconds: whoever asks is to be answered within three seconds. */
const QUESTION_MS = 2300

/**
 * Results of a bind that speak of the credentials. Source: RFC 4511 §A.1: constraintViolation, noSuchObject,
 * invalidDNSyntax, inappropriateAuthentication, invalidCredentials, unwillingToPerform.
 */
const REFUSING = new Set([19, 32, 34, 48, 49, 53])

/** Judges passwords by binding with them: as the entry that was found, or by a template and the entry found after. */
export function createDirectoryAuthenticator(options: DirectoryAuthenticatorOptions): Directory {
  const { connections, search, bindTemplate, log, metrics } = options

  /** Whether the directory takes a password for a name. It is never empty: that would be no password at all. */
  const binds = async (client: Client, name: string, password: string): Promise<boolean> => {
    if (password === '' || password.includes('\0')) return false
    try {
      await client.bind(name, password)
      metrics.operation('bind', 'ok')
      return true
    } catch (error) {
      const refused = error instanceof ResultCodeError
      metrics.operation('bind', refused ? 'refused' : 'failed')
      if (refused && REFUSING.has(error.code)) return false
      throw error
    }
  }

  /** Anything else that the directory says no to is a fault of ours, or of the directory. */
  const answered = async <Result>(question: Promise<Result>): Promise<Result> => {
    try {
      return await question
    } catch (error) {
      if (!(error instanceof ResultCodeError)) throw error
      log('error', { reason: error.message }, 'the directory refused what it was asked')
      throw new DirectoryAway('the directory refused what it was asked', { cause: error })
    }
  }

  const lookAsService = (endsAt: number, username: string, knownDn: string | undefined) =>
    connections.asService(endsAt, (client) => search.look(client, username, knownDn))

  const searchThenBind = async (username: string, password: string, knownDn: string | undefined) => {
    const endsAt = performance.now() + QUESTION_MS
    const looked = await lookAsService(endsAt, username, knownDn)
    if (isBarred(looked)) return tell(username, { outcome: 'barred', looked })
    const { person } = looked
    const good = await connections.afresh(endsAt, (client) => binds(client, person.dn, password))
    if (good) return { outcome: 'verified', person } as const
    return person.state === 'locked'
      ? tell(username, { outcome: 'barred', looked })
      : ({ outcome: 'wrong-password', sure: true } as const)
  }

  const bindThenSearch =
    (template: string) => async (username: string, password: string, knownDn: string | undefined) => {
      const endsAt = performance.now() + QUESTION_MS
      const name = fillBindTemplate(template, username)
      // A principal name may be one person's and the account name another's: then there are two, and neither is let in.
      const namesake = isDnTemplate(template) ? undefined : fillFilter('(userPrincipalName={username})', name)
      return connections.afresh(endsAt, async (client): Promise<Verification> => {
        if (!(await binds(client, name, password))) return { outcome: 'wrong-password', sure: false }
        await search.learnKind(client)
        const looked = await search.look(client, username, knownDn, namesake)
        if (isBarred(looked)) return tell(username, { outcome: 'barred', looked })
        if (isDnTemplate(template) && !isSameDn(looked.person.dn, name)) {
          return tell(username, { outcome: 'barred', looked: { outcome: 'ambiguous' } })
        }
        return { outcome: 'verified', person: looked.person }
      })
    }

  const tell = (username: string, barred: Extract<Verification, { outcome: 'barred' }>): Verification => {
    const { looked } = barred
    const state = looked.outcome === 'found' ? looked.person.state : looked.outcome
    // What is no name may be a password, typed in the wrong place.
    if (state !== 'gone') log('info', { username, state }, 'the directory bars a user')
    return barred
  }

  const verify = bindTemplate === undefined ? searchThenBind : bindThenSearch(bindTemplate)
  const find = async (username: string, knownDn?: string): Promise<Looked> =>
    isNobodys(username)
      ? { outcome: 'gone' }
      : answered(lookAsService(performance.now() + QUESTION_MS, username, knownDn))
  return {
    find: options.hasService ? find : undefined,
    verify: async (username, password, knownDn) =>
      isNobodys(username)
        ? { outcome: 'barred', looked: { outcome: 'gone' } }
        : answered(verify(username, password, knownDn)),
  }
}

/** Samba ends a value at the first NUL: it would find `alice` for `alice` and a NUL. */
function isNobodys(username: string): boolean {
  return username === '' || username.includes('\0')
}

/** Whether somebody is not let in whatever their password. A lock may have ended: the bind will tell. */
function isBarred(looked: Looked): looked is Exclude<Looked, { outcome: 'found' }> {
  return looked.outcome !== 'found' || looked.person.state === 'disabled' || looked.person.state === 'expired'
}
