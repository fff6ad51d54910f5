import t from 'tap'
import type { SigningKeys } from '../../src/access-tokens/signing-keys.ts'
import { watchSigningKeys } from '../../src/access-tokens/watch-signing-keys.ts'

const DAY = 86_400_000

/** Keys whose folder can be spoilt. `looked` resolves when the folder was read so many times more. */
function createFake(endsInDays: number) {
  const waiting: (() => void)[] = []
  const fake = {
    failure: undefined as Error | undefined,
    looks: 0,
    looked: async (times: number) => {
      const until = fake.looks + times
      while (fake.looks < until) {
        // The watcher does not keep a process alive; this does.
        const alive = setInterval(() => {}, 1000)
        await new Promise<void>((resolve) => waiting.push(resolve)).finally(() => clearInterval(alive))
      }
    },
    keys: {
      currentEndsAt: () => new Date(Date.now() + endsInDays * DAY),
      reload: async () => {
        fake.looks += 1
        setImmediate(() => waiting.splice(0).forEach((resolve) => resolve()))
        if (fake.failure !== undefined) throw fake.failure
      },
    } as unknown as SigningKeys,
  }
  return fake
}

t.test('a certificate that ends soon is told', async (t) => {
  for (const [days, expected] of [
    [365, 'ok'],
    [31, 'ok'],
    [29, { degraded: /certificate ends .*rotate the keys/ }],
    [-1, { degraded: /rotate the keys/ }],
  ] as const) {
    const watch = watchSigningKeys(createFake(days).keys, () => {})
    t.teardown(watch.stop)
    t.match(await watch.check(), expected, `${days} days`)
  }
})

t.test('a folder that cannot be read is told, and logged once', async (t) => {
  const fake = createFake(365)
  const errors: unknown[] = []
  const watch = watchSigningKeys(fake.keys, (error) => errors.push(error))
  t.teardown(watch.stop)
  fake.failure = new Error('current.pem is not there')
  await fake.looked(2)
  t.match(await watch.check(), { degraded: 'current.pem is not there' })
  t.same(errors, [fake.failure])
  fake.failure = undefined
  await fake.looked(1)
  t.equal(await watch.check(), 'ok', 'until it can be read again')
})
