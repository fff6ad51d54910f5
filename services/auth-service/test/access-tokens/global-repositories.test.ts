import type { ServiceClient } from '@registry-manager/http'
import { ServiceCallError } from '@registry-manager/http'
import t from 'tap'
import { createGlobalRepositories } from '../../src/access-tokens/global-repositories.ts'

/** An image-manager that knows these global repositories, and counts what it is asked. */
function createFake() {
  const fake = {
    now: 1_000_000,
    global: ['shared/app', 'shared/b'],
    failure: undefined as Error | undefined,
    /** Whether it is of this version: the one before tells no marks. */
    marks: true,
    asked: [] as unknown[],
    client: {
      post: async (path: string, { names }: { names: string[] }) => {
        fake.asked.push([path, names])
        if (fake.failure !== undefined) throw fake.failure
        const global = names.filter((name) => fake.global.includes(name))
        return fake.marks
          ? { global, marks: Object.fromEntries(global.map((name) => [name, [7, 1]])) }
          : { global }
      },
    } as unknown as ServiceClient,
  }
  const findGlobal = createGlobalRepositories(fake.client, 900_000, () => fake.now)
  const find = async (...names: string[]) => [...(await findGlobal(names)).keys()]
  return { fake, find, findGlobal }
}

t.test('those of the names that are global', async (t) => {
  const { fake, find } = createFake()
  t.strictSame(await find('shared/app', 'team/app', 'shared/b'), ['shared/app', 'shared/b'])
  t.strictSame(fake.asked, [['/internal/scopes', ['shared/app', 'team/app', 'shared/b']]])
})

t.test('each global repository comes with its mark, and without one from the version before', async (t) => {
  const { fake, findGlobal } = createFake()
  t.strictSame(await findGlobal(['shared/app']), new Map([['shared/app', [7, 1]]]))
  fake.marks = false
  fake.now += 5000
  t.strictSame(await findGlobal(['shared/app']), new Map([['shared/app', undefined]]))
})

t.test('a global one is asked for again after five seconds, another one each time', async (t) => {
  const { fake, find } = createFake()
  await find('shared/app', 'team/app')
  fake.now += 4999
  t.strictSame(await find('shared/app', 'team/app'), ['shared/app'])
  t.strictSame(fake.asked[1], ['/internal/scopes', ['team/app']])
  fake.global = ['team/app']
  t.strictSame(await find('team/app'), ['team/app'], 'one that became global is noticed at once')
  fake.now += 1
  t.strictSame(await find('shared/app'), [], 'one that ceased to be it, by then')
  t.equal(fake.asked.length, 4)
})

t.test('while image-manager is away, those are that were within the grace, and no others', async (t) => {
  const { fake, find } = createFake()
  await find('shared/app')
  fake.failure = new ServiceCallError('it did not answer', { dependency: 'image-manager' })
  t.strictSame(await find('shared/app', 'shared/b'), ['shared/app'])
  fake.now += 899_999
  t.strictSame(await find('shared/app', 'shared/b'), ['shared/app'])
  fake.now += 1
  t.strictSame(await find('shared/app', 'shared/b'), [])
  fake.failure = undefined
  t.strictSame(await find('shared/app', 'shared/b'), ['shared/app', 'shared/b'])
})

t.test('one that was seen to be global no more is not, while image-manager is away either', async (t) => {
  const { fake, find } = createFake()
  await find('shared/app')
  fake.now += 5000
  fake.global = []
  t.strictSame(await find('shared/app'), [])
  fake.failure = new ServiceCallError('it did not answer', { dependency: 'image-manager' })
  t.strictSame(await find('shared/app'), [])
})

t.test('a fault of ours is not taken for that', async (t) => {
  const { fake, find } = createFake()
  fake.failure = new TypeError('x is not a function')
  await t.rejects(find('shared/app'), TypeError)
})
