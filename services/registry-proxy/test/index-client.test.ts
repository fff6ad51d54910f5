import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ServiceClient } from '@registry-manager/http'
import t from 'tap'
import { createIndexClient } from '../src/index-client.ts'

t.test(
  'eight manifests are fetched at the same time, and a failed fetch makes room for the next',
  async (t) => {
    const pending: (() => void)[] = []
    let started = 0
    const get = async () => {
      started += 1
      await new Promise<void>((resolve) => pending.push(resolve))
      if (started > 10) throw new Error('no response')
      return { digest: 'sha256:0', mediaType: 'x', kept: false, raw: '' }
    }
    const queries = { get } as unknown as ServiceClient
    const index = createIndexClient({ queries, changes: queries })
    const lookups = Array.from({ length: 20 }, () =>
      index.findManifest('team/app', { tag: 'x' }).catch((error: Error) => error.message),
    )
    for (const expected of [8, 16, 20]) {
      await nextTurn()
      t.equal(started, expected, 'lookups that have started')
      for (const finish of pending.splice(0)) finish()
      await nextTurn()
    }
    t.equal((await Promise.all(lookups)).length, 20, 'every lookup ends')
  },
)

t.test('a lookup that finds no room to wait is refused with 429', async (t) => {
  const { promise: response, resolve } = Promise.withResolvers<object>()
  const queries = { get: () => response } as unknown as ServiceClient
  const index = createIndexClient({ queries, changes: queries })
  const lookUp = () => index.findManifest('team/app', { tag: 'x' })
  const lookups = Array.from({ length: 2008 }, lookUp)
  const refused = await lookUp().catch((error: unknown) => error)
  t.match(refused, { status: 429, detail: /^too many manifests/, retryAfterSeconds: 1 })
  resolve({ digest: 'sha256:0', mediaType: 'x', kept: false, raw: '' })
  t.equal((await Promise.all(lookups)).length, 2008, 'every lookup that found room ends')
})
