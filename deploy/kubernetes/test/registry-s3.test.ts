import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'
import { parse } from 'yaml'
import { createSigningKeys } from '../../../services/auth-service/src/adapters/signing-key-files.ts'
import { loadSigningKeys } from '../../../services/auth-service/src/adapters/signing-keys.ts'
import { environmentInKubernetes } from '../../settings/test/fixtures/kubernetes-env.ts'
import { startChild } from '../../local/child.ts'
import { freePort } from '../../local/free-port.ts'
import { findRegistry } from '../../local/registry-binary.js'
import { workloadsOf } from './fixtures/pods.ts'
import { kustomizeIsMissing, renderOverlays } from './fixtures/render.ts'

const CONFIG = fileURLToPath(new URL('../../registry/config.yml', import.meta.url))
const DIGEST = `sha256:${'0'.repeat(64)}`

const registry = (() => {
  try {
    return findRegistry(process.env, t.comment).REGISTRY_BINARY ?? process.env['REGISTRY_BINARY']
  } catch {
    return undefined
  }
})()
const missing = (await kustomizeIsMissing()) || (registry === undefined && 'no registry binary')

/** An S3 that holds nothing. */
async function startEmptyS3(t: Test): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(404, { 'content-type': 'application/xml' })
    response.end(request.method === 'HEAD' ? undefined : '<Error><Code>NoSuchKey</Code></Error>')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** The status of a deletion by a registry that runs with this environment, and whether it said to keep blobs in memory. */
async function deletion(
  t: Test,
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly caches: boolean }> {
  const folder = t.testdir()
  await createSigningKeys(folder)
  const keys = await loadSigningKeys(folder)
  const url = `http://127.0.0.1:${await freePort()}`
  const child = await startChild({
    name,
    command: registry ?? '',
    args: ['serve', CONFIG],
    env: {
      ...env,
      REGISTRY_HTTP_ADDR: new URL(url).host,
      REGISTRY_LOG_LEVEL: 'info',
      REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: join(folder, 'ca.pem'),
    },
    log: join(folder, 'log'),
    isReady: async () => (await fetch(`${url}/v2/`).catch(() => undefined))?.status === 401,
  })
  t.teardown(() => child.stop())
  const now = Math.floor(Date.now() / 1000)
  // The registry reads its environment as YAML.
  const [iss, aud] = ['ISSUER', 'SERVICE'].map((name) => parse(env[`REGISTRY_AUTH_TOKEN_${name}`] ?? ''))
  const access = [{ type: 'repository', name: 'team/app', actions: ['delete'] }]
  const claims = { iss, aud, sub: 's', exp: now + 60, nbf: now - 60, iat: now, jti: name, access }
  const headers = { authorization: `Bearer ${await keys.sign(claims as never)}` }
  const response = await fetch(`${url}/v2/team/app/manifests/${DIGEST}`, { method: 'DELETE', headers })
  const caches = readFileSync(join(folder, 'log'), 'utf8').includes('using inmemory blob descriptor cache')
  return { status: response.status, caches }
}

t.test('registries of which there are several keep nothing each', { skip: missing }, async (t) => {
  const { overlays } = await renderOverlays(t)
  const several = Object.entries(overlays).filter(([, manifests]) =>
    workloadsOf(manifests).some(({ name, replicas = 1 }) => name === 'registry' && replicas > 1),
  )
  t.ok(several.length > 0)
  for (const [overlay, manifests] of several) {
    const env = environmentInKubernetes(manifests, 'registry', (key) => `of ${key}`)
    const caching = Object.keys(env).filter((name) => name.startsWith('REGISTRY_STORAGE_CACHE'))
    t.same(caching, [], `${overlay}: no cache, which would go on serving what another one deleted`)
    t.ok(env['REGISTRY_STORAGE'], `${overlay}: nor that of config.yml, whose storage this replaces whole`)
  }
})

t.test(
  "distribution takes the production overlay's S3 for our configuration's folder",
  { skip: missing },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    const env = environmentInKubernetes(overlays.production, 'registry', (key) => `of ${key}`)
    t.match(env, { REGISTRY_STORAGE: 's3', REGISTRY_AUTH_TOKEN_ISSUER: '"registry.example.com"' })
    const s3 = await startEmptyS3(t)
    const ours = { ...env, REGISTRY_STORAGE_S3_REGIONENDPOINT: s3.url }
    const { REGISTRY_STORAGE_DELETE_ENABLED: _, ...withoutDeletion }: Record<string, string> = ours
    t.match(
      await deletion(t, 'without', withoutDeletion),
      { status: 405 },
      'what the file says of storage holds no more',
    )
    t.same(
      await deletion(t, 'with', ours),
      { status: 404, caches: false },
      'so that deleting must be permitted again, and is; and there is no cache',
    )
    const caching = { ...ours, REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'inmemory' }
    t.match(await deletion(t, 'caching', caching), { caches: true }, 'a cache would be told of')
    t.ok(
      s3.asked.some((url) => url.includes('/example/') && url.includes('team/app')),
      'it asked the bucket',
    )
  },
)
