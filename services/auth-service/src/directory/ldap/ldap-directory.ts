import { createSemaphore } from '@registry-manager/http'
import type { Client } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import type { Directory, DirectoryEntry, DirectoryLog, DirectoryLookup, Verification } from '../directory.ts'
import { DirectoryUnavailable } from '../directory.ts'
import { isSameDn } from '../distinguished-name.ts'
import { mayBind } from '../entry-state.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import { fillBindTemplate, fillFilter, isDnTemplate } from './filter.ts'
import type { DirectoryPool } from './pool.ts'
import type { DirectorySearch } from './search.ts'

export interface LdapDirectoryOptions {
  /** Connections that are bound to the service account; undefined without one. */
  readonly service: DirectoryPool | undefined
  /** Connections for binds of users. */
  readonly users: DirectoryPool
  readonly search: DirectorySearch
  /** The name with which users bind before the search. */
  readonly bindTemplate: string | undefined
  readonly log: DirectoryLog
  readonly metrics: DirectoryMetrics
}

/** Deadline of one request to the directory, in milliseconds. A sign-in gets its response within three seconds. */
const REQUEST_MS = 2300
/** Maximum number of concurrent requests, and time for which a request waits for its turn, in milliseconds. */
const [MAX_CONCURRENT, MAX_WAIT_MS] = [8, 1500]

/**
 * Result codes of a bind that are about the credentials. Source: RFC 4511 §A.1: constraintViolation, noSuchObject,
 * invalidDNSyntax, inappropriateAuthentication, invalidCredentials, unwillingToPerform.
 */
const REFUSING = new Set([19, 32, 34, 48, 49, 53])

/** Verifies before `endsAt` (a time of `performance.now`). Throws ResultCodeError for other errors of the directory. */
type Verify = (
  endsAt: number,
  username: string,
  password: string,
  knownDn: string | undefined,
) => Promise<Verification>

/** Verifies a password by a bind: as the entry that a search found, or by a template and a search after the bind. */
export function createLdapDirectory(options: LdapDirectoryOptions): Directory {
  const { service, users, search, bindTemplate, log, metrics } = options
  const semaphore = createSemaphore(MAX_CONCURRENT)
  const onLate = () => new DirectoryUnavailable('too many requests were waiting for the directory')

  /** Whether a bind succeeds. An empty password must not be tried: the bind would be anonymous, and succeed. */
  const binds = async (client: Client, name: string, password: string): Promise<boolean> => {
    if (password === '' || password.includes('\0')) return false
    try {
      await client.bind(name, password)
      metrics.operation('bind', 'ok')
      return true
    } catch (error) {
      const isRefused = error instanceof ResultCodeError
      metrics.operation('bind', isRefused ? 'refused' : 'failed')
      if (isRefused && REFUSING.has(error.code)) return false
      throw error
    }
  }

  /**
   * Runs a request within the concurrency limit and the deadline. An LDAP error here is a wrong configuration or a
   * fault of the server, never a wrong password.
   */
  const limited = async <Result>(request: (endsAt: number) => Promise<Result>): Promise<Result> => {
    const begun = performance.now()
    const endsAt = begun + REQUEST_MS
    try {
      return await semaphore.run(() => request(endsAt), { deadline: begun + MAX_WAIT_MS, onLate })
    } catch (error) {
      if (!(error instanceof ResultCodeError)) throw error
      log('error', { reason: error.message }, 'the directory refused a request')
      throw new DirectoryUnavailable('the directory refused a request', { cause: error })
    }
  }

  const searchThenBind =
    (pool: DirectoryPool): Verify =>
    async (endsAt, username, password, knownDn) => {
      const lookup = await pool.run(endsAt, (client) => search.find(client, username, knownDn))
      const entry = candidateOf(lookup)
      if (entry === undefined) return forbidden(username, lookup)
      const isRight = await users.run(endsAt, (client) => binds(client, entry.dn, password))
      if (isRight) return { outcome: 'verified', entry }
      if (entry.state === 'locked') return forbidden(username, lookup)
      return { outcome: 'wrong-password', sure: true }
    }

  const bindThenSearch =
    (template: string): Verify =>
    async (endsAt, username, password, knownDn) => {
      const name = fillBindTemplate(template, username)
      // A principal name of one user may be the account name of another one. Such a username is ambiguous.
      const namesake = isDnTemplate(template) ? undefined : fillFilter('(userPrincipalName={username})', name)
      return users.run(endsAt, async (client): Promise<Verification> => {
        if (!(await binds(client, name, password))) return { outcome: 'wrong-password', sure: false }
        await search.detectKind(client)
        const lookup = await search.find(client, username, knownDn, namesake)
        const entry = candidateOf(lookup)
        if (entry === undefined) return forbidden(username, lookup)
        // The entry that the search found must be the one that has bound.
        if (isDnTemplate(template) && !isSameDn(entry.dn, name)) {
          return forbidden(username, { outcome: 'ambiguous' })
        }
        return { outcome: 'verified', entry }
      })
    }

  const forbidden = (username: string, lookup: DirectoryLookup): Verification => {
    const state = lookup.outcome === 'found' ? lookup.entry.state : lookup.outcome
    // An unknown username is not logged: it may be a password in the wrong field.
    if (state !== 'gone') log('info', { username, state }, 'the directory does not allow a user to sign in')
    return { outcome: 'forbidden', lookup }
  }

  const findIn = (pool: DirectoryPool) => async (username: string, knownDn?: string) =>
    isImpossible(username)
      ? GONE
      : limited((endsAt) => pool.run(endsAt, (client) => search.find(client, username, knownDn)))

  const verify = chooseVerify()
  return {
    find: service && findIn(service),
    verify: async (username, password, knownDn) =>
      isImpossible(username)
        ? { outcome: 'forbidden', lookup: GONE }
        : limited((endsAt) => verify(endsAt, username, password, knownDn)),
  }

  function chooseVerify(): Verify {
    if (bindTemplate !== undefined) return bindThenSearch(bindTemplate)
    if (service !== undefined) return searchThenBind(service)
    throw new Error('neither a service account nor a bind template is configured')
  }
}

const GONE: DirectoryLookup = { outcome: 'gone' }

/** Samba ends a value at the first NUL: a search for `alice` followed by NUL would find `alice`. */
function isImpossible(username: string): boolean {
  return username === '' || username.includes('\0')
}

function candidateOf(lookup: DirectoryLookup): DirectoryEntry | undefined {
  return lookup.outcome === 'found' && mayBind(lookup.entry.state) ? lookup.entry : undefined
}
