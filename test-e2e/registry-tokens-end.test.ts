import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import type { RegistryToken } from './harness/registry-tokens.ts'
import { personalTokens, registryTokens, scope } from './harness/registry-tokens.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { System } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/** The longest time that an ended credential may still work. */
const DEADLINE_MS = 5000
const PULL = 'repository:team/app:pull'

const statusOf = async (url: string, authorization: string) => {
  const response = await fetch(url, { headers: { authorization } })
  await response.arrayBuffer()
  return response.status
}

/** The endpoints that accept the credentials of a registry token or a personal token. */
function doors(system: System, token: RegistryToken, jwt: string, identity: string) {
  const manifest = `${system.url}/v2/team/app/manifests/v1`
  const endpoint = `${system.url}/auth/v2/token?${new URLSearchParams({ scope: PULL })}`
  const management = `${system.url}/image-manager/api/v1/repositories/team/app`
  return {
    'a live access token at the proxy': () => statusOf(manifest, `Bearer ${jwt}`),
    'Basic at the proxy': () => statusOf(manifest, basic(token)),
    'Basic at the token endpoint': () => statusOf(endpoint, basic(token)),
    'its identity token at the token endpoint': () => statusOf(endpoint, `Bearer ${identity}`),
    'Basic at image management': () => statusOf(management, basic(token)),
    'its identity token at image management': () => statusOf(management, `Bearer ${identity}`),
  }
}

t.test('an ended registry token is refused by every endpoint within 5 seconds', async (t) => {
  const system = await startSystem(t)
  const tokens = await registryTokens(system)
  await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const endings: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
    disabled: (id) => tokens.change(id, { status: 'disabled' }),
    deleted: (id) => tokens.delete(id),
    expired: (id) => tokens.change(id, { expiryDate: new Date(Date.now() - 1000).toISOString() }),
    rotated: (id) => tokens.rotate(id),
    'rotated with an overlap that ends': (id) => tokens.rotate(id, '?overlap=1'),
    'given other scopes': (id) => tokens.change(id, { scopes: [scope('lab/*', 'pull')] }),
  }
  for (const [what, end] of Object.entries(endings)) {
    await t.test(`a registry token that was ${what} is refused everywhere`, async (t) => {
      const token = await tokens.make(`is-${what.replaceAll(' ', '-')}`, [scope('team/*', 'pull')])
      const [jwt, identity] = [await tokenFor(system, token, PULL), await tokenFor(system, token)]
      const all = Object.entries(doors(system, token, jwt, identity))
      for (const [door, ask] of all) t.equal(await ask(), 200, `${door} accepts the token before its end`)
      await end(token.id)
      const deadline = Date.now() + DEADLINE_MS + (what.includes('overlap') ? 1000 : 0)
      const rescoped = what === 'given other scopes'
      for (const [door, ask] of all) {
        // With other scopes the password still signs in, but it permits nothing at these endpoints.
        const dead =
          rescoped && door.startsWith('Basic')
            ? door.includes('endpoint')
              ? 200
              : door.includes('proxy')
                ? 403
                : 404
            : 401
        t.equal(
          await waitForAllReplicas(refusalOf(ask), dead, deadline - Date.now()),
          dead,
          `${door} refuses the ended token`,
        )
      }
    })
  }
})

t.test('an ended personal token is refused by every endpoint within 5 seconds', async (t) => {
  const system = await startSystem(t)
  await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const admin = async (method: string, body: object) => {
    const headers = { authorization: basic(system.admin), 'content-type': 'application/json' }
    const response = await fetch(`${system.url}/user`, { method, headers, body: JSON.stringify(body) })
    t.ok(response.ok, `${method} /user: ${response.status}`)
  }
  const endings: Readonly<Record<string, (username: string, id: string) => Promise<unknown>>> = {
    deleted: (username, id) => personalTokens(system, { username, password: 'a-password' }).delete(id),
    'of a disabled user': (username) => admin('PATCH', { username, enabled: false }),
    'of a deleted user': (username) => admin('DELETE', { username }),
  }
  for (const [what, end] of Object.entries(endings)) {
    await t.test(`a personal token ${what} is refused everywhere`, async (t) => {
      const username = what.replaceAll(' ', '-')
      const owner = { username, password: 'a-password' }
      await admin('POST', { ...owner, namespaces: ['team'] })
      const token = await personalTokens(system, owner).make('laptop', [scope('team/*', 'pull')])
      const [jwt, identity] = [await tokenFor(system, token, PULL), await tokenFor(system, token)]
      const all = Object.entries(doors(system, token, jwt, identity))
      for (const [door, ask] of all) t.equal(await ask(), 200, `${door} accepts the token before its end`)
      await end(username, token.id)
      const deadline = Date.now() + DEADLINE_MS
      for (const [door, ask] of all) {
        const status = await waitForAllReplicas(refusalOf(ask), 401, deadline - Date.now())
        t.equal(status, 401, `${door} refuses the ended token`)
      }
    })
  }
})

t.test('a registry token and all its access tokens expire in the same second', async (t) => {
  const system = await startSystem(t)
  const tokens = await registryTokens(system)
  await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const expires = Math.ceil(Date.now() / 1000) + 15
  const token = await tokens.make('short', [scope('team/*', 'pull')], {
    expiryDate: new Date(expires * 1000).toISOString(),
  })
  const [jwt, identity] = [await tokenFor(system, token, PULL), await tokenFor(system, token)]
  const all = Object.entries(doors(system, token, jwt, identity))
  for (const [door, ask] of all) t.equal(await ask(), 200, `${door} accepts the token before it expires`)
  await sleep(expires * 1000 - Date.now())
  const deadline = Date.now() + DEADLINE_MS
  for (const [door, ask] of all) {
    t.equal(
      await waitForAllReplicas(refusalOf(ask), 401, deadline - Date.now()),
      401,
      `${door} refuses the expired token`,
    )
  }
  t.match(await tokens.get(token.id), { metadata: { state: 'expired' } })
})

/** A refused credential that is sent often gets 429. That is a refusal like 401. */
function refusalOf(ask: () => Promise<number>): () => Promise<number> {
  return async () => {
    const status = await ask()
    return status === 429 ? 401 : status
  }
}
