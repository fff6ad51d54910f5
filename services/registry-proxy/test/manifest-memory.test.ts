import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy, until } from './fixtures/proxy.ts'
import { openRawConnection } from './fixtures/raw-connection.ts'

const KIB = 1024
const MIB = 1024 * KIB
const { port, images, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push')]
const bearerOf = (name: string) => bearer(access, { sub: name, uid: `uid-${name}` })
const path = '/v2/team/app/manifests/latest'

const push = (authorization: string, bytes: number) =>
  ask(port, path, { method: 'PUT', authorization, body: Buffer.alloc(bytes, 'x') })

/** Begins to push manifests of this size, and sends nothing of them. */
async function hold(authorization: string, count: number, bytes: number) {
  const head = `PUT ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: ${bytes}\r\n\r\n`
  const connections = await Promise.all(Array.from({ length: count }, () => openRawConnection(port)))
  for (const connection of connections) connection.write(head)
  // What came before has been taken in when this is answered.
  await until(async () => (await ask(port, '/v2/', { authorization })).status === 200)
  return connections
}

t.test('more manifests of 4 MiB at once than there is room for are all pushed', async (t) => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => push(bearerOf('alice'), 4 * MIB)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(images.admitted.splice(0).length, 12)
  upstream.requests.length = 0
})

for (const [what, bytes, count] of [
  ['large', 4 * MIB, 3],
  ['small', 64 * KIB, 48],
] as const) {
  t.test(
    `an account that holds its share of ${what} manifests waits, and holds up nobody else`,
    async (t) => {
      const alice = bearerOf(`alice-${what}`)
      const held = await hold(alice, count, bytes)
      let isAnswered = false
      const waiting = push(alice, bytes).then((answer) => {
        isAnswered = true
        return answer
      })
      t.equal((await push(bearerOf('bob'), bytes)).status, 200)
      t.notOk(isAnswered, 'its next manifest waits')
      held[0]?.destroy()
      t.equal((await waiting).status, 200, 'and is pushed when there is room')
      for (const connection of held) connection.destroy()
    },
  )
}

t.test('large manifests that come slowly do not hold up small ones, whoever sends them', async (t) => {
  const held = [...(await hold(bearerOf('carol'), 3, 4 * MIB)), ...(await hold(bearerOf('dave'), 1, 4 * MIB))]
  t.equal((await push(bearerOf('carol'), 1000)).status, 200)
  t.equal((await push(bearerOf('erin'), 1000)).status, 200)
  for (const connection of held) connection.destroy()
})

t.test('requests beyond those that may wait are answered 429', async (t) => {
  const frank = bearerOf('frank')
  const held = await hold(frank, 3 + 128, 4 * MIB)
  const refused = await push(frank, MIB)
  t.equal(refused.status, 429)
  t.equal(refused.code, 'TOOMANYREQUESTS')
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
  t.equal((await push(bearerOf('bob'), MIB)).status, 200, 'another account is not affected')
  for (const connection of held) connection.destroy()
  t.equal((await push(frank, MIB)).status, 200, 'nor is that one, once its clients are gone')
})
