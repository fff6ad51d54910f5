import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { SERVICE_CREDENTIAL } from '../fixtures/fake-auth-service.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { INDEX, MANIFEST, image } from '../fixtures/index-and-registry.ts'

const { internalApp, registry } = await startImageManager(t)

const digest = (algorithm: 'sha256' | 'sha512') =>
  `${algorithm}:${'a'.repeat(algorithm === 'sha256' ? 64 : 128)}`
/** An index-only manifest of 4.5 MiB: image-manager asks the registry for its children. */
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

const announce = async (payload: Buffer, type: string, account?: string) => {
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
  'a large manifest waits while another is handled, and a small one of another account does not',
  async (t) => {
    const [asked, proceed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    registry.before = () => {
      asked.resolve()
      return proceed.promise
    }
    const first = announce(LARGE, INDEX, 'alice')
    await asked.promise
    const waiting = Promise.all([announce(LARGE, INDEX, 'alice'), announce(LARGE, INDEX, 'bob')])
    t.match(await announce(image('small'), MANIFEST, 'carol'), [200, { outcome: 'admitted' }])
    t.equal(await Promise.race([waiting, sleep(300, 'waiting')]), 'waiting')
    proceed.resolve()
    for (const done of [await first, ...(await waiting)]) {
      t.match(done, [200, { outcome: 'refused', code: 'MANIFEST_BLOB_UNKNOWN' }])
    }
  },
)

t.test('a body that is refused while it is read releases its share of the budget', async (t) => {
  registry.before = () => undefined
  for (let tries = 0; tries < 12; tries++) {
    t.equal((await announce(Buffer.alloc(5 * 1024 * 1024 + 1), INDEX, 'alice'))[0], 413)
  }
  t.match(await announce(LARGE, INDEX, 'alice'), [200, { code: 'MANIFEST_BLOB_UNKNOWN' }])
})

t.test(
  'a manifest that the registry would read differently is refused without a request to the registry',
  async (t) => {
    registry.calls.splice(0)
    for (const text of [
      '{"Layers":[]}',
      '{"layers":[],"layers":[]}',
      `{"layers":[${'{},'.repeat(4096)}{}]}`,
    ]) {
      t.match(await announce(Buffer.from(text), MANIFEST), [
        200,
        { outcome: 'refused', code: 'MANIFEST_INVALID' },
      ])
    }
    t.same(registry.calls, [])
  },
)
