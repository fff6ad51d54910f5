import type { GlobalMark } from '@registry-manager/oci'
import t from 'tap'
import { createFindGlobals } from '../../src/access-tokens/global-repositories.ts'

const UNAVAILABLE = new Error('no response')

/** A fake image-manager with some global repositories; records the requested names. */
function createFake() {
  const fake = {
    now: 1_000_000,
    global: ['shared/app', 'shared/b'],
    failure: undefined as Error | undefined,
    mark: [7, 1] as GlobalMark | undefined,
    requests: [] as (readonly string[])[],
    outages: [] as unknown[],
  }
  const findGlobal = createFindGlobals({
    async fetchGlobalScopes(names) {
      fake.requests.push(names)
      if (fake.failure !== undefined) throw fake.failure
      return new Map(names.filter((name) => fake.global.includes(name)).map((name) => [name, fake.mark]))
    },
    isUnavailable: (error) => error === UNAVAILABLE,
    onOutage: (error) => void fake.outages.push(error),
    graceMs: 900_000,
    now: () => fake.now,
  })
  const find = async (...names: string[]) => [...(await findGlobal(names)).keys()]
  return { fake, find, findGlobal }
}

t.test('only the global repositories among the given ones are found', async (t) => {
  const { fake, find } = createFake()
  t.strictSame(await find('shared/app', 'team/app', 'shared/b'), ['shared/app', 'shared/b'])
  t.strictSame(fake.requests, [['shared/app', 'team/app', 'shared/b']])
})

t.test('each global repository has its mark, or none from an older image-manager', async (t) => {
  const { fake, findGlobal } = createFake()
  t.strictSame(await findGlobal(['shared/app']), new Map([['shared/app', [7, 1]]]))
  fake.mark = undefined
  fake.now += 5000
  t.strictSame(await findGlobal(['shared/app']), new Map([['shared/app', undefined]]))
})

t.test('a global repository is cached for five seconds, any other one is fetched each time', async (t) => {
  const { fake, find } = createFake()
  await find('shared/app', 'team/app')
  fake.now += 4999
  t.strictSame(await find('shared/app', 'team/app'), ['shared/app'])
  t.strictSame(fake.requests[1], ['team/app'])
  fake.global = ['team/app']
  t.strictSame(await find('team/app'), ['team/app'], 'a repository that becomes global is noticed at once')
  fake.now += 1
  t.strictSame(
    await find('shared/app'),
    [],
    'a repository that ceases to be global is noticed after five seconds',
  )
  t.equal(fake.requests.length, 4)
})

t.test(
  'while image-manager is unavailable, repositories that were global within the grace still count',
  async (t) => {
    const { fake, find } = createFake()
    await find('shared/app')
    fake.failure = UNAVAILABLE
    t.strictSame(await find('shared/app', 'shared/b'), ['shared/app'])
    fake.now += 899_999
    t.strictSame(await find('shared/app', 'shared/b'), ['shared/app'])
    fake.now += 1
    t.strictSame(await find('shared/app', 'shared/b'), [])
    fake.failure = undefined
    t.strictSame(await find('shared/app', 'shared/b'), ['shared/app', 'shared/b'])
  },
)

t.test(
  'a repository that ceased to be global does not count while image-manager is unavailable',
  async (t) => {
    const { fake, find } = createFake()
    await find('shared/app')
    fake.now += 5000
    fake.global = []
    t.strictSame(await find('shared/app'), [])
    fake.failure = UNAVAILABLE
    t.strictSame(await find('shared/app'), [])
  },
)

t.test('the first error of each outage of image-manager is reported', async (t) => {
  const { fake, find } = createFake()
  await find('shared/app')
  t.strictSame(fake.outages, [])
  fake.failure = UNAVAILABLE
  await find('team/app')
  await find('team/app')
  t.strictSame(fake.outages, [UNAVAILABLE], 'once for two failed requests')
  fake.failure = undefined
  await find('team/app')
  fake.failure = UNAVAILABLE
  await find('team/app')
  t.strictSame(fake.outages, [UNAVAILABLE, UNAVAILABLE], 'a second outage is reported too')
})

t.test('a programming error is thrown, not treated as an outage of image-manager', async (t) => {
  const { fake, find } = createFake()
  fake.failure = new TypeError('x is not a function')
  await t.rejects(find('shared/app'), TypeError)
})
