import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy, until } from './fixtures/proxy.ts'
import { openRawConnection } from './fixtures/raw-connection.ts'

const KIB = 1024
const MIB = 1024 * KIB
const { port, images, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push')]
const bearerOf = (name: string) => bearer(access, { sub: name, uid: `uid-${name}` })
const path = '/v2/team/app/manifests/latest'

const push = (authorization: string, bytes: number) =>
  sendRequest(port, path, { method: 'PUT', authorization, body: Buffer.alloc(bytes, 'x') })

/** Begins to push manifests of this size, and sends no byte of them. */
async function hold(authorization: string, count: number, bytes: number) {
  const head = `PUT ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: ${bytes}\r\n\r\n`
  const connections = await Promise.all(Array.from({ length: count }, () => openRawConnection(port)))
  for (const connection of connections) connection.write(head)
  // The proxy has accepted the pushes when it responds to a later request.
  await until(async () => (await sendRequest(port, '/v2/', { authorization })).status === 200)
  return connections
}

t.test('manifests of 4 MiB that exceed the memory budget wait and are all pushed', async (t) => {
  const responses = await Promise.all(Array.from({ length: 12 }, () => push(bearerOf('alice'), 4 * MIB)))
  t.same(new Set(responses.map(({ status }) => status)), new Set([200]))
  t.equal(images.announcedManifests.splice(0).length, 12)
  upstream.requests.length = 0
})

for (const [what, bytes, count] of [
  ['large', 4 * MIB, 3],
  ['small', 64 * KIB, 48],
] as const) {
  t.test(
    `an account that uses its share of ${what} manifests waits and does not delay other accounts`,
    async (t) => {
      const alice = bearerOf(`alice-${what}`)
      const held = await hold(alice, count, bytes)
      let isFinished = false
      const waiting = push(alice, bytes).then((response) => {
        isFinished = true
        return response
      })
      t.equal((await push(bearerOf('bob'), bytes)).status, 200)
      t.notOk(isFinished, 'the next manifest of the account waits')
      held[0]?.destroy()
      t.equal((await waiting).status, 200, 'it is pushed once there is room')
      for (const connection of held) connection.destroy()
    },
  )
}

t.test('slow large manifests do not delay small ones', async (t) => {
  const held = [...(await hold(bearerOf('carol'), 3, 4 * MIB)), ...(await hold(bearerOf('dave'), 1, 4 * MIB))]
  t.equal((await push(bearerOf('carol'), 1000)).status, 200)
  t.equal((await push(bearerOf('erin'), 1000)).status, 200)
  for (const connection of held) connection.destroy()
})

t.test('requests beyond those that may wait are 429', async (t) => {
  const frank = bearerOf('frank')
  const held = await hold(frank, 3 + 128, 4 * MIB)
  const refused = await push(frank, MIB)
  t.equal(refused.status, 429)
  t.equal(refused.code, 'TOOMANYREQUESTS')
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
  t.equal((await push(bearerOf('bob'), MIB)).status, 200, 'another account is not affected')
  for (const connection of held) connection.destroy()
  t.equal((await push(frank, MIB)).status, 200, 'the same account, once its clients have disconnected')
})
