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
  'an account has a bound for the bytes of manifests that it pushes at once, others are not kept waiting',
  async (t) => {
    const [asked, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    registry.before = () => {
      asked.resolve()
      return goOn.promise
    }
    const first = admit(LARGE, INDEX, 'alice')
    await asked.promise
    t.match(await admit(LARGE, INDEX, 'alice'), [200, { outcome: 'refused', code: 'TOOMANYREQUESTS' }])
    t.match(
      await admit(image('small'), MANIFEST, 'alice'),
      [200, { outcome: 'admitted' }],
      'a small one is taken',
    )
    t.match(await admit(image('large'), MANIFEST, 'bob'), [200, { outcome: 'admitted' }])
    const second = admit(LARGE, INDEX, 'bob')
    const third = admit(LARGE, INDEX, 'carol')
    t.match(
      await admit(LARGE, INDEX, 'dora'),
      [200, { outcome: 'refused', code: 'TOOMANYREQUESTS' }],
      'all is taken',
    )
    goOn.resolve()
    for (const done of await Promise.all([first, second, third])) {
      t.match(done, [200, { outcome: 'refused', code: 'MANIFEST_BLOB_UNKNOWN' }])
    }
    t.match(
      await admit(LARGE, INDEX, 'dora'),
      [200, { code: 'MANIFEST_BLOB_UNKNOWN' }],
      'what was taken is given back',
    )
  },
)

t.test('what is refused before it is parsed gives its bytes back', async (t) => {
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
