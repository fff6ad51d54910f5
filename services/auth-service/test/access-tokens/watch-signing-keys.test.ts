import t from 'tap'
import { watchSigningKeys } from '../../src/access-tokens/watch-signing-keys.ts'

const DAY = 86_400_000

/** Fake signing keys whose folder can fail. `reloaded` resolves after so many more reads. */
function createFake(endsInDays: number) {
  const waiting: (() => void)[] = []
  const fake = {
    failure: undefined as Error | undefined,
    reloads: 0,
    reloaded: async (times: number) => {
      const until = fake.reloads + times
      while (fake.reloads < until) {
        // Periodic work does not keep a process alive; this timer does.
        const alive = setInterval(() => {}, 1000)
        await new Promise<void>((resolve) => waiting.push(resolve)).finally(() => clearInterval(alive))
      }
    },
    keys: {
      currentEndsAt: () => new Date(Date.now() + endsInDays * DAY),
      reload: async () => {
        fake.reloads += 1
        setImmediate(() => waiting.splice(0).forEach((resolve) => resolve()))
        if (fake.failure !== undefined) throw fake.failure
      },
    },
  }
  return fake
}

/** Ports that are not the subject of a test. */
const others = { now: Date.now, recordRotation: async () => {}, onError: () => {}, onUnrecorded: () => {} }

t.test('the health check reports a certificate that expires within 30 days', async (t) => {
  for (const [days, expected] of [
    [365, 'ok'],
    [31, 'ok'],
    [29, { degraded: /certificate of the signing key expires at .*rotate the keys/ }],
    [-1, { degraded: /rotate the keys/ }],
  ] as const) {
    const { keys } = createFake(days)
    const watch = watchSigningKeys({ ...others, keys })
    t.match(await watch.check(), expected, `${days} days`)
  }
})

t.test('the health check reports an unreadable folder; it is logged once', async (t) => {
  const fake = createFake(365)
  const errors: unknown[] = []
  const watch = watchSigningKeys({ ...others, keys: fake.keys, onError: (error) => errors.push(error) })
  watch.start()
  t.teardown(watch.stop)
  fake.failure = new Error('current.pem is missing')
  await fake.reloaded(2)
  t.match(await watch.check(), { degraded: 'current.pem is missing' })
  t.same(errors, [fake.failure])
  fake.failure = undefined
  await fake.reloaded(1)
  t.equal(await watch.check(), 'ok', 'ok again once the folder can be read')
})

t.test('a rotation that cannot be recorded is logged once and retried after every reading', async (t) => {
  const fake = createFake(365)
  const errors: unknown[] = []
  let attempts = 0
  const watch = watchSigningKeys({
    ...others,
    keys: fake.keys,
    recordRotation: async () => {
      attempts += 1
      if (attempts < 3) throw new Error('the database is unavailable')
    },
    onUnrecorded: (error) => errors.push(error),
  })
  watch.start()
  t.teardown(watch.stop)
  await fake.reloaded(4)
  t.ok(attempts >= 3)
  t.match(errors, [{ message: 'the database is unavailable' }])
  t.equal(errors.length, 1)
  t.equal(await watch.check(), 'ok', 'the keys themselves were read')
})
