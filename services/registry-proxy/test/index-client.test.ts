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
    const index = createIndexClient({ get } as unknown as ServiceClient)
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
