import type { Metrics } from '@registry-manager/http'
import { Gauge } from 'prom-client'
import type { RegistryTokensRepository } from './registry-tokens-repository.ts'

/** How soon is soon, in days. */
const SOON = [1, 7, 30]
const DAY_MS = 86_400_000

/**
 * Tells how many registry tokens there are and how many expire soon, counted when it is asked. While they cannot
 * be counted, the last figures hold.
 */
export function observeTokens(
  { registry }: Metrics,
  tokens: Pick<RegistryTokensRepository, 'census'>,
  now: () => number,
): void {
  const count = () =>
    tokens
      .census(
        new Date(now()),
        SOON.map((days) => new Date(now() + days * DAY_MS)),
      )
      .catch(() => undefined)
  let counting: ReturnType<typeof count> | undefined
  // Both gauges are asked at once: they are counted once.
  const countOnce = () => (counting ??= count().finally(() => (counting = undefined)))
  const registers = [registry]

  const states = new Gauge({
    name: 'registry_tokens',
    help: 'Registry tokens by what they are: enabled, disabled or expired',
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
    help: 'Enabled registry tokens that expire within so many days',
    labelNames: ['days'] as const,
    registers,
    async collect() {
      const ending = (await countOnce())?.ending ?? []
      for (const [index, count] of ending.entries()) expiring.set({ days: SOON[index] }, count)
    },
  })
}
