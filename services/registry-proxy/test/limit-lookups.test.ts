import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { IndexClient } from '../src/index-client.ts'
import { limitLookups } from '../src/limit-lookups.ts'

t.test('eight manifests are looked up at a time, and the others wait', async (t) => {
  const pending: (() => void)[] = []
  let begun = 0
  const findManifest = async () => {
    begun += 1
    await new Promise<void>((resolve) => pending.push(resolve))
    if (begun > 10) throw new Error('no answer')
    return undefined
  }
  const index = limitLookups({ findManifest } as unknown as IndexClient)
  const lookups = Array.from({ length: 20 }, () =>
    index.findManifest('team/app', { tag: 'x' }).catch((error: Error) => error.message),
  )
  for (const expected of [8, 16, 20]) {
    await nextTurn()
    t.equal(begun, expected)
    for (const finish of pending.splice(0)) finish()
    await nextTurn()
  }
  t.equal((await Promise.all(lookups)).length, 20, 'one that fails makes room as well')
})
