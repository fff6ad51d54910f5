import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { Account, StoredAccount } from '../accounts/account.ts'
import type { Directory } from './directory.ts'
import { DirectoryUnavailable } from './directory.ts'
import { isSameStanding, standingOf } from './directory-state.ts'
import type { GroupMap } from './group-map.ts'
import type { DirectoryAccountsStore } from './directory-accounts.ts'
import type { DirectoryMetrics } from './metrics.ts'
import type { DirectoryLog } from './ldap/servers.ts'

export interface DirectoryRefreshOptions {
  readonly accounts: DirectoryAccountsStore
  /** Finds somebody again; undefined where there is no service account. */
  readonly find: Directory['find']
  readonly groups: GroupMap | undefined
  /** Ends what was issued to an account. */
  readonly endSessions: (account: Account) => Promise<unknown>
  /** A change in the directory has its effect within this. */
  readonly refreshSeconds: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: DirectoryLog
  readonly metrics: DirectoryMetrics
}

export interface DirectoryRefresh {
  /** Asks about every account that is due. Whoever could not be asked about is as before, and due again soon. */
  run(): Promise<void>
  start(): void
  stop(): void
}

/** Accounts that are taken at once, and how many of them are asked about at a time. */
const [PAGE, LANES] = [50, 4]
/** Revocations are read each second, and asked for each second. */
const HEARD_MS = 2500

/**
 * Asks the directory about its accounts again and again: who was disabled, locked or lost a group loses what that
 * gave. Without a service account nobody can be asked about, and their sign-ins end instead, so that they must show
 * their password again. Several replicas share the work.
 */
export function createDirectoryRefresh(options: DirectoryRefreshOptions): DirectoryRefresh {
  const { accounts, find, groups, now, log, metrics } = options
  const refreshMs = options.refreshSeconds * 1000
  let timer: NodeJS.Timeout | undefined
  let failure: string | undefined

  // So early that what is left of the time suffices for the asking, and for the proxies to hear of it.
  const dueBefore = () => now() - refreshMs + Math.max(refreshMs * 0.25, HEARD_MS)
  const leaseMs = Math.min(30_000, refreshMs * 0.1)
  const claim = () => accounts.claim(new Date(dueBefore()), new Date(dueBefore() + leaseMs), PAGE)

  /** How often each account failed in a row. */
  const failed = new Map<string, number>()
  /** Does something with one account. Where that fails, it is done again later, and the others are not kept waiting. */
  const attempt = async (account: StoredAccount, work: () => Promise<unknown>) => {
    try {
      await work()
      failed.delete(account.id)
    } catch (error) {
      // Neither would any other account succeed now.
      if (error instanceof DirectoryUnavailable || isDatabaseBusyOrUnavailable(error)) throw error
      const tries = (failed.get(account.id) ?? 0) + 1
      failed.set(account.id, tries)
      const delayMs = Math.min(refreshMs, leaseMs * 2 ** (tries - 1))
      const { id, username } = account
      log(
        'error',
        { err: error, id, username, tries, retrySeconds: Math.round(delayMs / 1000) },
        'a directory account could not be refreshed and will be retried',
      )
      metrics.rechecked('failed')
      await accounts.release([account], new Date(dueBefore() + delayMs))
    }
  }

  const ask = async (account: StoredAccount, look: NonNullable<Directory['find']>) => {
    const looked = await look(account.username, account.standing?.dn ?? undefined)
    const standing = standingOf(looked, groups)
    const same = isSameStanding(account.standing, standing)
    if (!same) await accounts.settle(account, standing)
    metrics.rechecked(same ? 'same' : 'changed')
    return same
  }

  const askAll = async (page: StoredAccount[], look: NonNullable<Directory['find']>) => {
    const [left, unchanged] = [[...page], [] as StoredAccount[]]
    const runLane = async () => {
      for (let account = left.shift(); account !== undefined; account = left.shift()) {
        const asked = account
        await attempt(asked, async () => {
          if (await ask(asked, look)) unchanged.push(asked)
        })
      }
    }
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, runLane))
    await accounts.release(unchanged, new Date(now()))
    for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
  }

  const lapse = async (page: StoredAccount[]) => {
    const ended: StoredAccount[] = []
    for (const account of page) {
      await attempt(account, async () => {
        await options.endSessions(account)
        ended.push(account)
      })
    }
    await accounts.release(ended, null)
  }

  const run = async () => {
    for (let page = await claim(); page.length > 0; page = await claim()) {
      await (find === undefined ? lapse(page) : askAll(page, find))
    }
  }

  const repeat = async () => {
    try {
      await run()
      failure = undefined
    } catch (error) {
      // Told once. That the directory is away its servers tell.
      const { message } = error as Error
      if (failure !== message && !(error instanceof DirectoryUnavailable)) {
        log('error', { err: error }, 'directory accounts could not be asked about')
      }
      failure = message
    }
    schedule()
  }

  const schedule = () => {
    if (timer !== undefined) timer = setTimeout(repeat, Math.min(5000, refreshMs * 0.05))
  }

  return {
    run,
    start: () => {
      timer = setTimeout(repeat, 0)
    },
    stop: () => {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
