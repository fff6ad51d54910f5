import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { slapdIsMissing, startSlapd } from './harness/slapd.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { System } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'
import { settingsFor } from './harness/test-directory.ts'

const ALICE = { username: 'alice', password: 'Password-of-alice-1' }

t.test('directory users sign in without a service account', { skip: await slapdIsMissing() }, async (t) => {
  const slapd = await startSlapd(t)
  await slapd.addUsers({ alice: ALICE.password, bob: 'Password-of-bob-1' })
  await slapd.addGroup('developers', [slapd.userDn('alice')])
  const { DIRECTORY_BIND_DN: _dn, DIRECTORY_BIND_PASSWORD: _password, ...others } = settingsFor(slapd)
  const env = {
    ...others,
    DIRECTORY_BIND_TEMPLATE: slapd.userDn('{username}'),
    DIRECTORY_GROUP_MAP: JSON.stringify({ [slapd.groupDn('developers')]: { namespaces: ['team'] } }),
    DIRECTORY_AUTO_CREATE: 'true',
    DIRECTORY_REFRESH_SECONDS: '10',
  }
  const system = await startSystem(t, { env })
  const form = new URLSearchParams({ username: 'bob', ad: 'true' })
  const headers = { authorization: basic(system.admin) }
  const made = await fetch(`${system.url}/user`, { method: 'POST', headers, body: form })
  t.equal(made.status, 400, 'the administrator cannot add a directory user without a service account')
  t.match(await made.json(), { field: 'ad', detail: /DIRECTORY_BIND_DN/ })

  await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const token = await tokenOfAlice(system)
  t.pass('the first sign-in creates an account')
  const pull = async () => {
    const response = await fetch(`${system.url}/v2/team/app/manifests/v1`, {
      headers: { authorization: `Bearer ${token}` },
    })
    await response.body?.cancel()
    return response.status
  }
  t.equal(await pull(), 200)
  t.equal(
    await waitForAllReplicas(pull, 401, 20_000),
    401,
    'the sign-in expires, because the directory user cannot be looked up',
  )
  await tokenOfAlice(system)
  t.pass('the user can sign in again with the password')
})

/** Returns a token. Retries while the machine is too busy. */
async function tokenOfAlice(system: System, left = 10): Promise<string> {
  try {
    return await tokenFor(system, ALICE, 'repository:team/app:pull')
  } catch (error) {
    if (left === 0 || !(error as Error).message.includes('503')) throw error
    await sleep(1000)
    return tokenOfAlice(system, left - 1)
  }
}
