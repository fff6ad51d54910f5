import type { RequestContext } from '@registry-manager/http'
import t from 'tap'
import { announceManifest } from '../../src/push/announce-manifest.ts'
import { JANE, eventsIn, senderOf } from '../fixtures/events.ts'
import { SERVICE_CREDENTIAL } from '../fixtures/fake-auth-service.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  databaseForTest,
  image,
  repositoriesOf,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import { digestOf, sha512Of } from '../fixtures/memory-registry.ts'
import { mortal } from '../fixtures/mortal.ts'
import { parsed } from '../fixtures/reconcile.ts'

const ONE = image('one')
const sha512 = sha512Of(ONE)
const indexOnly = (text: string) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [{ mediaType: MANIFEST, digest: sha512, size: ONE.length }],
      annotations: { text },
    }),
  )
const [FIRST, SECOND] = [indexOnly('first'), indexOnly('second')]

const db = await databaseForTest(t)
const { internalApp } = await startImageManager(t, db)
const send = senderOf(internalApp)
const announce = async (raw: Buffer, reference: string, context: RequestContext = JANE) => {
  const query = new URLSearchParams({ repository: REPOSITORY, reference, type: INDEX })
  return (await send('POST', `/internal/admissions?${query}`, { payload: raw, context })).json().outcome
}
const recorded = async () => (await eventsIn(db)).map(({ action, detail }) => [action, detail['digest']])

t.beforeEach(async () => {
  const { index } = await startIndex(db)
  await index.manifests.putManifest(REPOSITORY, parsed(ONE))
})

t.test('a repeated push of an index-only manifest has one event', async (t) => {
  for (const reference of ['multi', digestOf(SECOND)]) {
    const raw = reference === 'multi' ? FIRST : SECOND
    for (let attempt = 0; attempt < 2; attempt++) t.equal(await announce(raw, reference), 'kept')
  }
  t.same(await recorded(), [
    ['push', digestOf(FIRST)],
    ['push', digestOf(SECOND)],
  ])
})

t.test('a reused request id hides no push of an index-only manifest', async (t) => {
  for (const raw of [FIRST, SECOND, FIRST]) t.equal(await announce(raw, 'multi'), 'kept')
  t.same(await recorded(), [
    ['push', digestOf(FIRST)],
    ['push', digestOf(SECOND)],
    ['tag.move', undefined],
    ['push', digestOf(FIRST)],
    ['tag.move', undefined],
  ])
})

t.test(
  'an index-only manifest is never without its event, after whichever step its process is killed',
  async (t) => {
    let [steps, stored] = [0, 0]
    for (let isAlive = false; !isAlive; steps++) {
      const started = await startIndex(db)
      await started.index.manifests.putManifest(REPOSITORY, parsed(ONE))
      const process = mortal(db, started.registry, steps)
      const ports = { ...repositoriesOf(process.db), registry: process.registry }
      const pushed = { repository: REPOSITORY, reference: { tag: 'multi' }, type: INDEX, raw: FIRST }
      await announceManifest(ports, pushed).catch(() => undefined)
      isAlive = process.isAlive()
      const exists = (await started.manifests()).includes(digestOf(FIRST))
      if (exists) stored += 1
      t.same(await recorded(), exists ? [['push', digestOf(FIRST)]] : [], `killed after step ${steps}`)
    }
    t.ok(stored > 2, `the manifest was stored ${stored} times in ${steps} steps`)
  },
)

t.test('a push through the previous registry-proxy names the account, and no address', async (t) => {
  const account = 'id-of-jane'
  const query = new URLSearchParams({ repository: REPOSITORY, reference: 'multi', type: INDEX, account })
  const url = `/internal/admissions?${query}`
  const authorization = `Bearer ${SERVICE_CREDENTIAL}`
  const headers = { authorization, 'content-type': 'application/octet-stream' }
  t.equal((await internalApp.inject({ method: 'POST', url, payload: FIRST, headers })).statusCode, 200)
  t.match(await eventsIn(db), [
    { action: 'push', principal_kind: 'user', principal_id: account, principal_name: null, address: null },
  ])
  // The account of a request with a context is that of the context.
  await send('POST', url.replace(account, 'another-id'), { payload: SECOND })
  t.match((await eventsIn(db)).slice(1), [{ principal_id: 'id-of-jane', address: '192.0.2.7' }, {}])
})
