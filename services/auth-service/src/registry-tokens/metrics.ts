import type { Metrics } from '@registry-manager/http'
import { Gauge } from 'prom-client'

export interface RegistryTokenCounts {
  readonly states: Readonly<Record<'enabled' | 'disabled' | 'expired', number>>
  /** Enabled registry tokens that expire before each of the given times. */
  readonly expiring: readonly number[]
}

export type CountRegistryTokens = (now: Date, ends: readonly Date[]) => Promise<RegistryTokenCounts>

const EXPIRING_WITHIN_DAYS = [1, 7, 30]
const DAY_MS = 86_400_000

/**
 * Exports the number of registry tokens in each state, and the number of those that expire soon. Each scrape runs one
 * query. If it fails, the gauges keep their last values.
 */
export function observeRegistryTokens(
  { registry }: Metrics,
  count: CountRegistryTokens,
  now: () => number,
): void {
  const tryCount = () =>
    count(
      new Date(now()),
      EXPIRING_WITHIN_DAYS.map((days) => new Date(now() + days * DAY_MS)),
    ).catch(() => undefined)
  let counting: ReturnType<typeof tryCount> | undefined
  // A scrape collects both gauges at the same time: they share one query.
  const countOnce = () => (counting ??= tryCount().finally(() => (counting = undefined)))
  const registers = [registry]

  const states = new Gauge({
    name: 'registry_tokens',
    help: 'Registry tokens by state: enabled, disabled or expired',
    labelNames: ['state'] as const,
    registers,
    async collect() {
      for (const [state, count] of Object.entries((await countOnce())?.states ?? {})) {
        states.set({ state }, count)
      }
    },
  })
  const expiring = new Gauge({
    name: 'registry_tokens_expiring',
    help: 'Enabled registry tokens that expire within the given number of days',
    labelNames: ['days'] as const,
    registers,
    async collect() {
      const counts = (await countOnce())?.expiring ?? []
      for (const [index, count] of counts.entries())
        expiring.set({ days: EXPIRING_WITHIN_DAYS[index] }, count)
    },
  })
}
