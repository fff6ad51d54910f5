import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startAuthService } from '../fixtures/auth-service.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const { ask, askInternal, clock, db } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()

/** The values of a gauge by its own label. */
async function figures(name: string): Promise<Record<string, number>> {
  const { body } = await askInternal({ url: '/metrics' })
  const lines = body.matchAll(new RegExp(`^${name}\\{\\w+="(\\w+)",service="auth-service"\\} (\\d+)$`, 'gm'))
  return Object.fromEntries([...lines].map(([, label, value]) => [label, Number(value)]))
}

t.test('the metrics count registry tokens by state, and those that expire soon', async (t) => {
  t.strictSame(await figures('registry_tokens'), { enabled: 0, disabled: 0, expired: 0 })
  t.strictSame(await figures('registry_tokens_expiring'), { 1: 0, 7: 0, 30: 0 })
  await api.make({ name: 'never' })
  await api.make({ name: 'off', status: 'disabled', expiryDate: inDays(1) })
  const past = await api.make({ name: 'past' })
  await api.patch(past.id, { expiryDate: inDays(-1) })
  for (const days of [0.5, 5, 6, 20, 40])
    await api.make({ name: `in-${days}`.replace('.', '-'), expiryDate: inDays(days) })
  t.strictSame(await figures('registry_tokens'), { enabled: 6, disabled: 1, expired: 1 })
  t.strictSame(await figures('registry_tokens_expiring'), { 1: 1, 7: 3, 30: 4 })
  clock.ahead = 86_400_000
  t.strictSame(await figures('registry_tokens'), { enabled: 5, disabled: 1, expired: 2 })
  t.strictSame(await figures('registry_tokens_expiring'), { 1: 0, 7: 2, 30: 3 })
})

t.test('the metrics keep their last values while the database is unavailable', async (t) => {
  await db.destroy()
  t.strictSame(await figures('registry_tokens'), { enabled: 5, disabled: 1, expired: 2 })
})
