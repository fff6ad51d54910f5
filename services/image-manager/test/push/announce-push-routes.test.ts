import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { SERVICE_CREDENTIAL } from '../fixtures/fake-auth-service.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { INDEX, MANIFEST, image } from '../fixtures/index-and-registry.ts'

const { internalApp, registry } = await startImageManager(t)

const digest = (algorithm: 'sha256' | 'sha512') =>
  `${algorithm}:${'a'.repeat(algorithm === 'sha256' ? 64 : 128)}`
/** 4.5 MiB that image-manager has to keep itself, for which it asks the registry first. */
const LARGE = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [digest('sha256'), digest('sha512')].map((one) => ({
      mediaType: MANIFEST,
      digest: one,
      size: 1,
    })),
    annotations: { long: 'x'.repeat(4.5 * 1024 * 1024) },
  }),
)

const admit = async (payload: Buffer, type: string, account?: string) => {
  const query = new URLSearchParams({
    repository: 'team/app',
    reference: 'v1',
    type,
    ...(account && { account }),
  })
  const response = await internalApp.inject({
    method: 'POST',
    url: `/internal/admissions?${query}`,
    headers: { authorization: `Bearer ${SERVICE_CREDENTIAL}`, 'content-type': 'application/octet-stream' },
    payload,
  })
  return [response.statusCode, response.json()] as const
}

t.test(
  'a large manifest waits while another one is worked on, and a small one of another account does not',
  async (t) => {
    const [asked, proceed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    registry.before = () => {
      asked.resolve()
      return proceed.promise
    }
    const first = admit(LARGE, INDEX, 'alice')
    await asked.promise
    const waiting = Promise.all([admit(LARGE, INDEX, 'alice'), admit(LARGE, INDEX, 'bob')])
    t.match(await admit(image('small'), MANIFEST, 'carol'), [200, { outcome: 'admitted' }])
    t.equal(await Promise.race([waiting, sleep(300, 'waiting')]), 'waiting')
    proceed.resolve()
    for (const done of [await first, ...(await waiting)]) {
      t.match(done, [200, { outcome: 'refused', code: 'MANIFEST_BLOB_UNKNOWN' }])
    }
  },
)

t.test('a body that is refused while it is read returns its share of the budget', async (t) => {
  registry.before = () => undefined
  for (let tries = 0; tries < 12; tries++) {
    t.equal((await admit(Buffer.alloc(5 * 1024 * 1024 + 1), INDEX, 'alice'))[0], 413)
  }
  t.match(await admit(LARGE, INDEX, 'alice'), [200, { code: 'MANIFEST_BLOB_UNKNOWN' }])
})

t.test(
  'a manifest that the registry would read differently is refused before the registry is asked',
  async (t) => {
    registry.calls.splice(0)
    for (const text of [
      '{"Layers":[]}',
      '{"layers":[],"layers":[]}',
      `{"layers":[${'{},'.repeat(4096)}{}]}`,
    ]) {
      t.match(await admit(Buffer.from(text), MANIFEST), [
        200,
        { outcome: 'refused', code: 'MANIFEST_INVALID' },
      ])
    }
    t.same(registry.calls, [])
  },
)
