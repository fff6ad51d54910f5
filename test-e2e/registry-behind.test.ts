import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '@registry-manager/testing/until'
import type { Test } from 'tap'
import t from 'tap'
import { freePort } from '../deploy/local/free-port.ts'
import { findRegistry } from '../deploy/local/registry-binary.js'
import { startRegistry } from '../deploy/local/registry-child.ts'
import {
  createSigningKeys,
  rotateSigningKeys,
} from '../services/auth-service/src/access-tokens/signing-key-files.ts'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { MANIFEST_TYPE, pushSmallImage } from './harness/small-image.ts'
import { startSystem, tokenFor } from './harness/system.ts'

/** Starts a registry and, with REGISTRY_URL, registry-manager in front of it. */
async function startBoth(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'registry-behind-'))
  const keys = join(folder, 'keys')
  await createSigningKeys(keys)
  const port = await freePort()
  const registry = await startRegistry({
    binary: findRegistry(process.env, t.comment).REGISTRY_BINARY ?? process.env['REGISTRY_BINARY'],
    folder: join(folder, 'images'),
    httpSecret: 'a secret that uploads are signed with',
    realm: `http://localhost:${port}/auth/v2/token`,
    service: `localhost:${port}`,
    issuer: `localhost:${port}`,
    authority: join(keys, 'ca.pem'),
    onDeath: (reason) => t.fail(reason),
  })
  t.teardown(async () => {
    await registry.stop()
    await rm(folder, { recursive: true })
  })
  const env = { REGISTRY_URL: registry.url, SIGNING_KEYS_DIR: keys }
  return { registry, keys, system: await startSystem(t, { port, env }) }
}

t.test('the registry requires an access token even if a client bypasses registry-proxy', async (t) => {
  const { registry, system } = await startBoth(t)
  const image = await pushSmallImage(system, system.admin, 'team/app', 'v1')
  for (const path of [
    '/v2/',
    '/v2/_catalog',
    '/v2/team/app/manifests/v1',
    `/v2/team/app/blobs/${image.layer}`,
  ]) {
    const response = await fetch(registry.url + path)
    t.equal(response.status, 401, path)
  }
  const begin = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  t.equal(begin.status, 401, 'an upload without a token is refused')

  const token = await tokenFor(system, system.admin, 'repository:team/app:pull')
  const headers = { authorization: `Bearer ${token}`, accept: MANIFEST_TYPE }
  const inScope = await fetch(`${registry.url}/v2/team/app/manifests/v1`, { headers })
  t.equal(inScope.status, 200, 'an access token permits its scopes at the registry')
  const outOfScope = await fetch(`${registry.url}/v2/other/app/manifests/v1`, { headers })
  t.equal(outOfScope.status, 401, 'an access token permits nothing else at the registry')
})

t.test('signing keys rotate while the registry runs', async (t) => {
  const { registry, keys, system } = await startBoth(t)
  await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const keyOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid
  const newToken = () => tokenFor(system, system.admin, 'repository:team/app:pull')
  const pull = async (base: string, token: string) => {
    const headers = { authorization: `Bearer ${token}`, accept: MANIFEST_TYPE }
    return (await fetch(`${base}/v2/team/app/manifests/v1`, { headers })).status
  }

  const old = await newToken()
  await rotateSigningKeys(keys)
  let fresh = await newToken()
  // The service checks its keys every two seconds.
  await until(async () => keyOf((fresh = await newToken())) !== keyOf(old), 'the next key signs tokens')
  for (const [name, token] of Object.entries({ old, fresh })) {
    t.equal(await pull(system.url, token), 200, `the proxy accepts the ${name} key's token`)
    t.equal(await pull(registry.url, token), 200, `the registry accepts the ${name} key's token`)
  }

  await rotateSigningKeys(keys)
  const published = async () => {
    const response = await fetch(`${system.url}/.well-known/jwks.json`)
    const { keys } = (await response.json()) as { keys: { kid: string }[] }
    return `${keys.length} keys, ${keys.some(({ kid }) => kid === keyOf(old)) ? 'the first' : 'not the first'}`
  }
  const later = '3 keys, not the first'
  t.equal(
    await waitForAllReplicas(published, later, 30_000),
    later,
    'the next, current and retired keys are published',
  )
  t.equal(await pull(system.url, fresh), 200, 'a second rotation retires the current key')
})
