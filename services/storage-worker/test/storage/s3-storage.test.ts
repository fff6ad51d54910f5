import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import t from 'tap'
import { startBareRegistry } from '../../../../test-e2e/harness/bare-registry.ts'
import { digestOf, makeImage, randomLayer } from '../../../../test-e2e/harness/manifests.ts'
import { storageOnS3 } from '../../../../test-e2e/harness/registry-on-s3.ts'
import { createRegistryClient } from '../../../../test-e2e/harness/registry-client.ts'
import { s3IsMissing, startS3Server } from '../../../../test-e2e/harness/s3-server.ts'
import type { S3Server } from '../../../../test-e2e/harness/s3-server.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { TIME_IS_OVER } from '../../src/storage/storage.ts'
import { configOf, createBucket, startRecordingProxy } from '../fixtures/bucket.ts'
import { listed } from '../fixtures/listed.ts'
import { timeFor } from '../fixtures/removal-time.ts'

const skip = s3IsMissing()
const hexOf = (text: string) => createHash('sha256').update(text).digest('hex')
const keyOf = (digest: string) => {
  const hex = digest.slice('sha256:'.length)
  return `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
}

async function open(t: Test, s3: S3Server, options: Parameters<typeof configOf>[1] = {}) {
  const requests: string[] = []
  const storage = await openStorage(configOf(s3, options), (operation) => requests.push(operation))
  t.teardown(() => storage.close())
  return { storage, requests }
}

t.test('one request removes 1,000 blobs, and others stay', { skip }, async (t) => {
  const s3 = await startS3Server(t)
  const [proxy, bucket] = [await startRecordingProxy(t, s3), createBucket(t, s3)]
  const { storage } = await open(t, s3, { endpoint: proxy.url })
  const digests = Array.from({ length: 1000 }, (_, index) => `sha256:${hexOf(`blob ${index}`)}`)
  for (let at = 0; at < digests.length; at += 50)
    await Promise.all(digests.slice(at, at + 50).map((digest) => bucket.put(keyOf(digest), 'content')))
  const kept = `sha256:${hexOf('kept')}`
  await bucket.put(keyOf(kept), 'kept')
  proxy.requests.length = 0
  const start = performance.now()
  const { removed, failed, unknown } = await storage.removeBlobs(digests, timeFor())
  t.comment(`1,000 blobs in ${Math.round(performance.now() - start)} ms`)
  t.same([removed.length, failed, unknown], [1000, [], []])
  t.same(proxy.requests, [`POST /${s3.bucket}?delete`])
  t.same(await bucket.keys(), [keyOf(kept)])
  t.match(await storage.removeBlobs(digests.slice(0, 2), timeFor()), { removed: [{ bytes: null }, {}] })
})

t.test('the listing has all blobs, links and uploads of a bucket', { skip }, async (t) => {
  const s3 = await startS3Server(t)
  const bucket = createBucket(t, s3)
  const { storage, requests } = await open(t, s3)
  const nothing = { blobs: {}, links: [], uploads: { count: 0, bytes: 0 } }
  t.same(await listed(storage), nothing, 'a new registry')
  const root = 'docker/registry/v2'
  const [layer, lonely] = [`sha256:${hexOf('layer')}`, `sha256:${hexOf('lonely')}`]
  const long = createHash('sha512').update('layer').digest('hex')
  await bucket.put(keyOf(layer), 'layer')
  await t.rejects(listed(storage), /has blobs but nothing below docker\/registry\/v2\/repositories\//)
  await bucket.put(keyOf(lonely), 'lonely')
  await bucket.put(`${root}/blobs/sha256/zz/else`, 'of another program')
  const links = `${root}/repositories/team/app/_layers`
  await bucket.put(`${links}/sha256/${hexOf('layer')}/link`, layer)
  await bucket.put(`${links}/sha512/${long}/link`, layer)
  await bucket.put(`${root}/repositories/team/app/_manifests/tags/v1/current/link`, layer)
  const trash = `${root}/repositories/registry-manager-trash/one/_layers`
  await bucket.put(`${trash}/sha256/${hexOf('lonely')}/link`, lonely)
  await bucket.put(`${root}/repositories/team/app/_uploads/one/startedat`, 'now')
  requests.length = 0
  t.same(await listed(storage), {
    blobs: { [layer]: 5, [lonely]: 6 },
    links: [layer, layer, `sha512:${long}`].toSorted(),
    uploads: { count: 1, bytes: 0 },
  })
  t.equal(
    requests.filter((operation) => operation === 'GetObject').length,
    1,
    'only links of sha512 are read',
  )
})

t.test(
  'distribution serves the blobs that the worker left, and accepts the removed ones again',
  { skip },
  async (t) => {
    const s3 = await startS3Server(t)
    for (const rootDirectory of ['', '/nested/images/']) {
      const bucket = createBucket(t, s3)
      const { storage } = await open(t, s3, { rootDirectory })
      const registry = await startBareRegistry(t, storageOnS3(s3, rootDirectory))
      const client = createRegistryClient(registry.url, '')
      const shared = randomLayer(6 << 20)
      const kept = makeImage({ layers: [shared] })
      const gone = makeImage({ layers: [shared, randomLayer()] })
      await client.push('team/app', kept, 'kept')
      await client.push('team/app', gone, 'gone')
      const upload = await client.beginUpload('team/app')
      await client.sendChunk(upload, Buffer.alloc(100))
      const { descriptor, blobs } = gone
      const unused = blobs.map((blob) => digestOf(blob)).filter((digest) => digest !== digestOf(shared[1]))
      t.equal((await client.send('DELETE', `/v2/team/app/manifests/${descriptor.digest}`)).status, 202)
      for (const digest of unused) await client.send('DELETE', `/v2/team/app/blobs/${digest}`)

      const { blobs: stored, links, uploads } = await listed(storage)
      t.match(uploads, { count: 1 })
      const unlinked = Object.keys(stored).filter((digest) => !links.includes(digest))
      t.same(unlinked.toSorted(), [descriptor.digest, ...unused].toSorted(), 'no link names deleted data')
      t.equal(stored[digestOf(shared[1])], 6 << 20)
      const { removed } = await storage.removeBlobs(unlinked, timeFor())
      t.equal(removed.length, unlinked.length)

      const reachable = [kept.descriptor.digest, ...kept.blobs.map((blob) => digestOf(blob))]
      const prefix = rootDirectory === '' ? '' : 'nested/images/'
      const data = (await bucket.keys()).filter(
        (key) => key.startsWith(`${prefix}docker/`) && /\/blobs\/sha/.test(key),
      )
      t.same(
        data.toSorted(),
        reachable.map((digest) => prefix + keyOf(digest)).toSorted(),
        'exactly the reachable data',
      )
      for (const digest of reachable.slice(1)) {
        const { status, body } = await client.send('GET', `/v2/team/app/blobs/${digest}`)
        t.same([status, digestOf(body)], [200, digest])
      }
      for (const digest of unused)
        t.equal((await client.send('HEAD', `/v2/team/app/blobs/${digest}`)).status, 404, 'no cache responds')
      await client.push('team/app', gone, 'again')
      for (const digest of unused)
        t.equal((await client.send('GET', `/v2/team/app/blobs/${digest}`)).status, 200, 'it is stored again')
      await registry.stop()
    }
  },
)

t.test('a deletion without a response has an unknown outcome and is not repeated', { skip }, async (t) => {
  const s3 = await startS3Server(t)
  const [proxy, bucket] = [await startRecordingProxy(t, s3), createBucket(t, s3)]
  const { storage } = await open(t, s3, { endpoint: proxy.url })
  const digest = `sha256:${hexOf('some')}`
  await bucket.put(keyOf(digest), 'some')

  await t.test('if the connection breaks', async (t) => {
    proxy.lose = true
    proxy.requests.length = 0
    const { removed, failed, unknown } = await storage.removeBlobs([digest], timeFor())
    t.same([removed, failed], [[], []])
    t.match(unknown, [{ digest }])
    t.equal(proxy.requests.length, 1)
    t.same(await bucket.keys(), [], 'S3 had executed it')
    proxy.lose = false
  })
  await t.test('if the time of the claim ends', async (t) => {
    proxy.delayMs = 1000
    const time = { isOver: () => false, signal: AbortSignal.timeout(200) }
    const { unknown } = await storage.removeBlobs([digest], time)
    t.match(unknown, [{ digest }])
  })
})

t.test(
  'a removal that S3 refuses has failed, and no request is sent after the end of the claim',
  { skip },
  async (t) => {
    const s3 = await startS3Server(t)
    const proxy = await startRecordingProxy(t, s3)
    const digest = `sha256:${hexOf('some')}`
    const wrong = { ...s3, secretKey: 'another' }
    const { storage } = await open(t, wrong, { endpoint: proxy.url })
    t.match(await storage.removeBlobs([digest], timeFor()), {
      removed: [],
      failed: [{ digest, reason: /./ }],
      unknown: [],
    })
    await t.rejects(storage.check())
    await t.rejects(listed(storage))
    proxy.requests.length = 0
    t.match(await storage.removeBlobs([digest], timeFor(0)), { failed: [{ digest, reason: TIME_IS_OVER }] })
    t.same(proxy.requests, [])
  },
)
