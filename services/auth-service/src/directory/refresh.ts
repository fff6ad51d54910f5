import { createPeriodicWork } from '@registry-manager/http'
import type { DirectoryState, StoredAccount } from '../principals/account.ts'
import type { Directory, DirectoryLog } from './directory.ts'
import { DirectoryUnavailable, groupsOfLookup } from './directory.ts'
import { directoryStateOf, isSameDirectoryState } from './directory-state.ts'
import type { GroupMap } from './group-map.ts'

export interface DirectoryRefreshPorts {
  /** Claims accounts whose state was read before a time, until the lease ends. */
  claim(readBefore: Date, leaseEnd: Date, limit: number): Promise<StoredAccount[]>
  /** Sets when the state of accounts was read; null for accounts that are not to be read again. */
  setReadAt(ids: readonly string[], readAt: Date | null): Promise<void>
  /** Saves a changed state. If the effective rights change, the sessions end. */
  save(account: StoredAccount, directoryState: DirectoryState): Promise<unknown>
  endSessions(account: StoredAccount): Promise<unknown>
  /** Saves the groups of the directory that a user is a member of. */
  setGroups(account: StoredAccount, groups: readonly string[]): Promise<unknown>
  /** Whether an error says that the database is unavailable. */
  isDatabaseUnavailable(error: unknown): boolean
  /** Undefined without a service account. */
  readonly find: Directory['find']
  readonly groups: GroupMap | undefined
  /** A change in the directory takes effect within this time. */
  readonly refreshSeconds: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: DirectoryLog
  count(outcome: 'same' | 'changed' | 'failed'): void
}

export interface DirectoryRefresh {
  /** Refreshes every account that is due. An account that fails stays as it is and is due again soon. */
  run(): Promise<void>
  start(): void
  stop(): Promise<void>
}

/** Number of accounts in one claim, and of accounts that are refreshed concurrently. */
const [PAGE, LANES] = [50, 4]
/** A revocation takes up to two polls of a second to reach the proxies. */
const REVOCATION_MS = 2500

/**
 * Reads the directory state of all directory users periodically: a user who was disabled or has lost a group loses the
 * rights. Without a service account the state cannot be read, so the users' sessions end instead and their next sign-in
 * reads it. Replicas share the work by claims.
 */
export function createDirectoryRefresh(ports: DirectoryRefreshPorts): DirectoryRefresh {
  const { find, groups, now, log, count } = ports
  const refreshMs = ports.refreshSeconds * 1000
  let failure: string | undefined

  // Accounts are due before refreshSeconds have passed: the remaining time is for the search, and for the revocation to
  // reach the proxies.
  const dueBefore = () => now() - refreshMs + Math.max(refreshMs * 0.25, REVOCATION_MS)
  const leaseMs = Math.min(30_000, refreshMs * 0.1)
  const claim = () => ports.claim(new Date(dueBefore()), new Date(dueBefore() + leaseMs), PAGE)
  const setReadAt = (accounts: readonly StoredAccount[], readAt: Date | null) =>
    ports.setReadAt(
      accounts.map(({ id }) => id),
      readAt,
    )

  /** Failures in a row by account id. */
  const failures = new Map<string, number>()
  /** Runs work for one account. A failure delays the account's next attempt and does not affect other accounts. */
  const attempt = async (account: StoredAccount, work: () => Promise<unknown>) => {
    try {
      await work()
      failures.delete(account.id)
    } catch (error) {
      // Other accounts would fail as well.
      if (error instanceof DirectoryUnavailable || ports.isDatabaseUnavailable(error)) throw error
      const tries = (failures.get(account.id) ?? 0) + 1
      failures.set(account.id, tries)
      const delayMs = Math.min(refreshMs, leaseMs * 2 ** (tries - 1))
      const { id, username } = account
      log(
        'error',
        { err: error, id, username, tries, retrySeconds: Math.round(delayMs / 1000) },
        'could not refresh a directory user; will retry',
      )
      count('failed')
      await setReadAt([account], new Date(dueBefore() + delayMs))
    }
  }

  /** Returns whether the state is the same. */
  const refresh = async (account: StoredAccount, find: NonNullable<Directory['find']>) => {
    const lookup = await find(account.username, account.directoryState?.dn ?? undefined)
    const directoryState = directoryStateOf(lookup, groups)
    const isSame = isSameDirectoryState(account.directoryState, directoryState)
    if (!isSame) await ports.save(account, directoryState)
    await ports.setGroups(account, groupsOfLookup(lookup))
    count(isSame ? 'same' : 'changed')
    return isSame
  }

  const refreshPage = async (
    page: readonly StoredAccount[],
    find: NonNullable<Directory['find']>,
    signal: AbortSignal | undefined,
  ) => {
    const [remaining, unchanged] = [[...page], [] as StoredAccount[]]
    const runLane = async () => {
      for (let account = remaining.shift(); account !== undefined; account = remaining.shift()) {
        // The lease of the remaining accounts ends soon: another replica refreshes them.
        if (signal?.aborted) return
        const current = account
        await attempt(current, async () => {
          if (await refresh(current, find)) unchanged.push(current)
        })
      }
    }
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, runLane))
    await setReadAt(unchanged, new Date(now()))
    for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
  }

  const endSessionsOfPage = async (page: readonly StoredAccount[]) => {
    const ended: StoredAccount[] = []
    for (const account of page) {
      await attempt(account, async () => {
        await ports.endSessions(account)
        ended.push(account)
      })
    }
    await setReadAt(ended, null)
  }

  const run = async (signal?: AbortSignal) => {
    for (let page = await claim(); page.length > 0; page = await claim()) {
      await (find === undefined ? endSessionsOfPage(page) : refreshPage(page, find, signal))
      if (signal?.aborted) return
    }
    failure = undefined
  }

  const periodic = createPeriodicWork({
    everyMs: Math.min(5000, refreshMs * 0.05),
    work: run,
    onError(error) {
      // Logged once. `servers.ts` logs that the directory is unavailable.
      const { message } = error as Error
      if (failure !== message && !(error instanceof DirectoryUnavailable)) {
        log('error', { err: error }, 'could not refresh directory users; will retry')
      }
      failure = message
    },
  })

  return { run: () => run(), start: periodic.start, stop: periodic.stop }
}
