import type { Client } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import { fillBindTemplate, fillFilter, isDnTemplate } from './filter.ts'
import type { Directory, Looked, Person, Verification } from '../directory.ts'
import { DirectoryUnavailable } from '../directory.ts'
import { isSameDn } from '../distinguished-name.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import type { DirectoryPool } from './pool.ts'
import type { DirectorySearch } from './search.ts'
import type { DirectoryLog } from './servers.ts'
import { createSemaphore } from './semaphore.ts'

export interface DirectoryAuthenticatorOptions {
  /** Connections of the service account, which finds users; undefined where there is none. */
  readonly service: DirectoryPool | undefined
  /** Connections that users are bound on, one after the other. */
  readonly users: DirectoryPool
  readonly search: DirectorySearch
  /** How users bind without having been found first. */
  readonly bindTemplate: string | undefined
  readonly log: DirectoryLog
  readonly metrics: DirectoryMetrics
}

/** For all that one question takes, in milliseconds: whoever asks is to be answered within three seconds. */
const QUESTION_MS = 2300
/** More at once would only get slower; whoever waits so long in vain has cost the directory nothing. */
const [MAX_QUESTIONS, MAX_WAIT_MS] = [8, 1500]

/**
 * Results of a bind that speak of the credentials. Source: RFC 4511 §A.1: constraintViolation, noSuchObject,
 * invalidDNSyntax, inappropriateAuthentication, invalidCredentials, unwillingToPerform.
 */
const REFUSING = new Set([19, 32, 34, 48, 49, 53])

/** Verifies before `endsAt` (of `performance.now`). Throws ResultCodeError where the directory says no to the asking. */
type Ask = (
  endsAt: number,
  username: string,
  password: string,
  knownDn: string | undefined,
) => Promise<Verification>

/** Judges passwords by binding with them: as the entry that was found, or by a template and the entry found after. */
export function createDirectoryAuthenticator(options: DirectoryAuthenticatorOptions): Directory {
  const { service, users, search, bindTemplate, log, metrics } = options
  const slots = createSemaphore(MAX_QUESTIONS)
  const late = () => new DirectoryUnavailable('too many were waiting for the directory')

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

  /** Asks in turn, and in time. What the directory says no to here is a fault of ours, or of the directory. */
  const question = async <Result>(ask: (endsAt: number) => Promise<Result>): Promise<Result> => {
    const begun = performance.now()
    const endsAt = begun + QUESTION_MS
    try {
      return await slots.run(begun + MAX_WAIT_MS, late, () => ask(endsAt))
    } catch (error) {
      if (!(error instanceof ResultCodeError)) throw error
      log('error', { reason: error.message }, 'the directory refused what it was asked')
      throw new DirectoryUnavailable('the directory refused what it was asked', { cause: error })
    }
  }

  const searchThenBind =
    (pool: DirectoryPool): Ask =>
    async (endsAt, username, password, knownDn) => {
      const looked = await pool.run(endsAt, (client) => search.look(client, username, knownDn))
      const person = candidate(looked)
      if (person === undefined) return tell(username, looked)
      const good = await users.run(endsAt, (client) => binds(client, person.dn, password))
      if (good) return { outcome: 'verified', person } as const
      if (person.state === 'locked') return tell(username, looked)
      return { outcome: 'wrong-password', sure: true } as const
    }

  const bindThenSearch =
    (template: string): Ask =>
    async (endsAt, username, password, knownDn) => {
      const name = fillBindTemplate(template, username)
      // A principal name may be one person's and the account name another's: then there are two, and neither is let in.
      const namesake = isDnTemplate(template) ? undefined : fillFilter('(userPrincipalName={username})', name)
      return users.run(endsAt, async (client): Promise<Verification> => {
        if (!(await binds(client, name, password))) return { outcome: 'wrong-password', sure: false }
        await search.learnKind(client)
        const looked = await search.look(client, username, knownDn, namesake)
        const person = candidate(looked)
        if (person === undefined) return tell(username, looked)
        // Who is found must be who has bound.
        if (isDnTemplate(template) && !isSameDn(person.dn, name)) {
          return tell(username, { outcome: 'ambiguous' })
        }
        return { outcome: 'verified', person }
      })
    }

  const tell = (username: string, looked: Looked): Verification => {
    const state = looked.outcome === 'found' ? looked.person.state : looked.outcome
    // What is no name may be a password, typed in the wrong place.
    if (state !== 'gone') log('info', { username, state }, 'the directory bars a user')
    return { outcome: 'barred', looked }
  }

  const findIn = (pool: DirectoryPool) => async (username: string, knownDn?: string) =>
    isNobodys(username)
      ? GONE
      : question((endsAt) => pool.run(endsAt, (client) => search.look(client, username, knownDn)))

  const ask = verifier()
  return {
    find: service && findIn(service),
    verify: async (username, password, knownDn) =>
      isNobodys(username)
        ? { outcome: 'barred', looked: GONE }
        : question((endsAt) => ask(endsAt, username, password, knownDn)),
  }

  function verifier(): Ask {
    if (bindTemplate !== undefined) return bindThenSearch(bindTemplate)
    if (service !== undefined) return searchThenBind(service)
    throw new Error('there is neither a service account nor a template to bind by')
  }
}

const GONE: Looked = { outcome: 'gone' }

/** Samba ends a value at the first NUL: it would find `alice` for `alice` and a NUL. */
function isNobodys(username: string): boolean {
  return username === '' || username.includes('\0')
}

/** Whoever may be let in if the password is right. A lock may have ended: the bind will tell. */
function candidate(looked: Looked): Person | undefined {
  if (looked.outcome !== 'found') return undefined
  const { person } = looked
  return person.state === 'disabled' || person.state === 'expired' ? undefined : person
}
