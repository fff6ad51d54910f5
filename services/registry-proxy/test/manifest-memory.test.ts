import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy, until } from './fixtures/proxy.ts'
import { openRawConnection } from './fixtures/raw-connection.ts'

const MIB = 1 << 20
const { port, images, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push')]
const alice = bearer(access)
const bob = bearer(access, { sub: 'bob', uid: 'uid-bob' })
const carol = bearer(access, { sub: 'carol', uid: 'uid-carol' })
const path = '/v2/team/app/manifests/latest'

const push = (authorization: string, bytes: number) =>
  ask(port, path, { method: 'PUT', authorization, body: Buffer.alloc(bytes, 'x') })

/** Begins to push a manifest of 4 MiB, and sends none of it. */
async function hold(authorization: string) {
  const connection = await openRawConnection(port)
  connection.write(
    `PUT ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: ${4 * MIB}\r\n\r\n`,
  )
  return connection
}

t.test('more manifests of 4 MiB at once than there is room for are all pushed', async (t) => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => push(alice, 4 * MIB)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(images.admitted.splice(0).length, 12)
  upstream.requests.length = 0
})

t.test('an account that holds its share waits, and holds up nobody else', async (t) => {
  const held = await Promise.all(Array.from({ length: 3 }, () => hold(alice)))
  await until(async () => (await ask(port, '/v2/', { authorization: alice })).status === 200)
  let isAnswered = false
  const waiting = push(alice, 10).then((answer) => {
    isAnswered = true
    return answer
  })
  t.equal((await push(bob, 4 * MIB)).status, 200)
  t.notOk(isAnswered, 'its next manifest waits')
  held[0]?.destroy()
  t.equal((await waiting).status, 200, 'and is pushed when there is room')
  for (const connection of held) connection.destroy()
})

t.test('requests beyond those that may wait are answered 429', async (t) => {
  const held = await Promise.all(Array.from({ length: 3 }, () => hold(carol)))
  const waiting = await Promise.all(Array.from({ length: 128 }, () => hold(carol)))
  await until(async () => (await ask(port, '/v2/', { authorization: carol })).status === 200)
  const refused = await push(carol, 10)
  t.equal(refused.status, 429)
  t.equal(refused.code, 'TOOMANYREQUESTS')
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
  t.equal((await push(bob, 10)).status, 200, 'another account is not affected')
  for (const connection of [...held, ...waiting]) connection.destroy()
  t.equal((await push(carol, 10)).status, 200, 'nor is that one, once its clients are gone')
})
