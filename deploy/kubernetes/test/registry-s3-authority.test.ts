import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'
import { environmentInKubernetes } from '../../settings/test/fixtures/kubernetes-env.ts'
import { startChild } from '../../local/child-process.ts'
import { freePort } from '../../local/free-port.ts'
import { ensureTls } from '../../local/stack/tls.ts'
import { workloadsOf } from './fixtures/pods.ts'
import { deletion, findRegistryBinary } from './fixtures/registry-with-s3.ts'
import { kustomizeIsMissing, renderOverlays } from './fixtures/render.ts'

/** The path at which the manifests mount the CA of a private S3. */
const AUTHORITY = '/run/secrets/s3-authority'
const WORKER = fileURLToPath(new URL('../../../services/storage-worker/src/main.ts', import.meta.url))

const missing = (await kustomizeIsMissing()) || (findRegistryBinary() === undefined && 'no registry binary')

/** An empty S3 with a certificate of a private CA: its URL, that CA, and the paths that were requested. */
async function startPrivateS3(t: Test) {
  const { authority, certificate, key } = await ensureTls(join(t.testdir(), 's3'), ['127.0.0.1'])
  const requested: string[] = []
  const tls = { cert: readFileSync(certificate), key: readFileSync(key) }
  const server = createServer(tls, (request, response) => {
    requested.push(request.url ?? '')
    response.writeHead(404, { 'content-type': 'application/xml' })
    response.end(request.method === 'HEAD' ? undefined : '<Error><Code>NoSuchKey</Code></Error>')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, authority: readFileSync(authority), requested }
}

t.test(
  'the registry trusts the CA in the Secret registry-s3 in addition to those of its image',
  { skip: missing },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    const pod = workloadsOf(overlays.production).find(({ name }) => name === 'registry')
    const volume = pod?.spec.volumes.find(({ name }: { name: string }) => name === 's3-authority')
    t.match(volume.secret, { secretName: 'registry-s3', optional: true, items: [{ key: 'ca.pem' }] })
    const mounts = pod?.spec.containers[0].volumeMounts as { name: string; mountPath: string }[]
    t.equal(mounts.find(({ name }) => name === 's3-authority')?.mountPath, AUTHORITY)
    const env = environmentInKubernetes(overlays.production, 'registry', (key) => `of ${key}`)
    t.match(env['SSL_CERT_DIR']?.split(':'), ['/etc/ssl/certs', AUTHORITY])

    const s3 = await startPrivateS3(t)
    const mounted = join(t.testdir(), 'authority')
    await mkdir(mounted)
    const SSL_CERT_DIR = env['SSL_CERT_DIR']?.replace(AUTHORITY, mounted) ?? ''
    const settings = { ...env, REGISTRY_STORAGE_S3_REGIONENDPOINT: s3.url, SSL_CERT_DIR }
    await t.test('without ca.pem the registry refuses the certificate of a private S3', async (t) => {
      t.match(await deletion(t, 'without', settings), { status: 500 })
      t.same(s3.requested, [], 'no request got through TLS')
    })
    await t.test('with ca.pem the registry requests objects of the bucket', async (t) => {
      writeFileSync(join(mounted, 'ca.pem'), s3.authority)
      t.match(await deletion(t, 'with', settings), { status: 404 })
      t.ok(s3.requested.some((url) => url.includes('/example/') && url.includes('team/app')))
    })
  },
)

/** Starts the storage worker with the settings of the production overlay, and waits until it has asked S3. */
async function askS3(t: Test, env: Readonly<Record<string, string>>): Promise<string> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const folder = await mkdtemp(join(tmpdir(), 'storage-worker-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const { SERVICE_CREDENTIAL_FILE: _, ...settings } = env
  const child = await startChild({
    name: 'storage-worker',
    command: process.execPath,
    args: [WORKER],
    env: { ...settings, HOST: '127.0.0.1', INTERNAL_PORT: String(port), SERVICE_CREDENTIAL: 'x'.repeat(32) },
    log: join(folder, 'log'),
    isReady: async () => (await fetch(`${url}/livez`).catch(() => undefined))?.ok === true,
  })
  const text = await (await fetch(`${url}/readyz`)).text()
  await child.stop()
  return text
}

t.test(
  'the storage worker trusts the CA in the Secret registry-s3, too',
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    const env = environmentInKubernetes(overlays.production, 'storage-worker', (key) => `of ${key}`)
    const pod = workloadsOf(overlays.production).find(({ name }) => name === 'storage-worker')
    const mounts = pod?.spec.containers[0].volumeMounts as { name: string; mountPath: string }[]
    t.equal(mounts.find(({ name }) => name === 's3-authority')?.mountPath, AUTHORITY)
    t.equal(env['NODE_EXTRA_CA_CERTS'], `${AUTHORITY}/ca.pem`)

    const s3 = await startPrivateS3(t)
    const file = join(t.testdir(), 'ca.pem')
    const settings = { ...env, REGISTRY_STORAGE_S3_REGIONENDPOINT: s3.url, NODE_EXTRA_CA_CERTS: file }
    t.match(
      await askS3(t, settings),
      /certificate/,
      'without ca.pem it refuses the certificate of a private S3',
    )
    t.same(s3.requested, [])
    writeFileSync(file, s3.authority)
    await askS3(t, settings)
    t.ok(
      s3.requested.some((url) => url.startsWith('/example')),
      'with ca.pem it asks for objects of the bucket',
    )
  },
)

t.test(
  'the access keys are optional, so that workload identity can replace them',
  { skip: missing },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    const pod = workloadsOf(overlays.production).find(({ name }) => name === 'registry')
    const keys = pod?.spec.containers[0].env.filter(({ name }: { name: string }) => name.endsWith('KEY'))
    t.match(keys, [
      { valueFrom: { secretKeyRef: { name: 'registry-s3', optional: true } } },
      { valueFrom: { secretKeyRef: { name: 'registry-s3', optional: true } } },
    ])
  },
)
