import { randomUUID } from 'node:crypto'
import type { RequestContext } from '@registry-manager/http'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { JANE, eventsIn, senderOf } from '../fixtures/events.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import {
  MANIFEST,
  REPOSITORY,
  blobsOf,
  databaseForTest,
  image,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

// A client can choose the id of its requests where a foreign proxy passes X-Request-Id on.
const CHOSEN: RequestContext = { ...JANE, requestId: 'chosen-by-jane' }

const db = await databaseForTest(t)
const { internalApp, registry } = await startImageManager(t, db)
const send = senderOf(internalApp)
const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]

const other = () => ({ ...JANE, requestId: randomUUID() })
const announce = async (raw: Buffer, reference: string, context: RequestContext): Promise<string> => {
  const query = new URLSearchParams({ repository: REPOSITORY, reference, type: MANIFEST })
  return (await send('POST', `/internal/admissions?${query}`, { payload: raw, context })).json().id
}
const record = async (t: Test, id: string, context: RequestContext) =>
  t.equal((await send('POST', `/internal/admissions/${id}/record`, { context })).statusCode, 200)
const push = async (t: Test, raw: Buffer, reference: string, context: RequestContext) => {
  const id = await announce(raw, reference, context)
  registry.push(raw, MANIFEST, reference.includes(':') ? undefined : reference)
  await record(t, id, context)
}
const deleteReference = async (t: Test, reference: string, context: RequestContext) => {
  const query = new URLSearchParams({ repository: REPOSITORY, reference })
  t.same((await send('DELETE', `/internal/manifests?${query}`, { context })).json(), { deleted: true })
}
const recorded = async () =>
  (await eventsIn(db)).map(({ action, target }) => {
    const { tag = null, digest } = target as { tag?: string; digest?: string }
    return [action, tag, digest]
  })

t.beforeEach(async () => {
  await startIndex(db)
  registry.manifests.clear()
  registry.tags.clear()
  for (const blob of [...blobsOf(ONE), ...blobsOf(TWO)]) registry.blobs.add(blob)
})

t.test(
  'a push with a reused request id has its own events if the tag had another digest in between',
  async (t) => {
    await push(t, ONE, 'v1', CHOSEN)
    await push(t, TWO, 'v1', other())
    await push(t, ONE, 'v1', CHOSEN)
    t.same(await recorded(), [
      ['push', 'v1', one],
      ['push', 'v1', two],
      ['tag.move', 'v1', two],
      ['push', 'v1', one],
      ['tag.move', 'v1', one],
    ])
  },
)

t.test(
  'a push with a reused request id has its event, if the tag was moved while it was pending',
  async (t) => {
    const id = await announce(ONE, 'v1', CHOSEN)
    await push(t, ONE, 'v1', CHOSEN)
    await push(t, TWO, 'v1', other())
    registry.push(ONE, MANIFEST, 'v1')
    await record(t, id, CHOSEN)
    t.same((await recorded()).at(-1), ['push', 'v1', one])
    t.equal((await recorded()).length, 4)
  },
)

t.test('deletions and pushes with one request id alternate: each has its event', async (t) => {
  for (const reference of ['v1', one]) {
    await startIndex(db)
    for (let round = 0; round < 2; round++) {
      await push(t, ONE, reference, CHOSEN)
      await deleteReference(t, reference, CHOSEN)
    }
    const actions = (await recorded()).map(([action]) => action)
    const deletion = reference === one ? 'manifest.delete' : 'tag.delete'
    t.same(actions, ['push', deletion, 'push', deletion])
  }
})

t.test('a push after the deletion of its manifest or repository has its event', async (t) => {
  await push(t, ONE, 'v1', CHOSEN)
  await deleteReference(t, one, other())
  await push(t, ONE, 'v1', CHOSEN)
  const actions = async () => (await recorded()).map(([action]) => action)
  t.same(await actions(), ['push', 'manifest.delete', 'tag.delete', 'push'])
  const gone = JSON.stringify({ kind: 'repository', repository: REPOSITORY, name: REPOSITORY })
  await sql`insert into events (action, outcome, principal_kind, target, repository)
    values ('repository.delete', 'done', 'user', ${gone}::jsonb, ${REPOSITORY})`.execute(db)
  await push(t, ONE, 'v1', CHOSEN)
  t.same((await actions()).slice(-2), ['repository.delete', 'push'])
})

t.test(
  'the same request id of another principal, or half a minute later, identifies another push',
  async (t) => {
    await push(t, ONE, 'v1', CHOSEN)
    await push(t, ONE, 'v1', { ...CHOSEN, principal: { kind: 'user', id: 'id-of-bob', name: 'bob' } })
    t.equal((await eventsIn(db)).length, 2)
    await push(t, ONE, 'v2', CHOSEN)
    await db
      .updateTable('events')
      .set({ time: sql`time - interval '31 seconds'` })
      .execute()
    await push(t, ONE, 'v2', CHOSEN)
    t.equal((await eventsIn(db)).length, 4)
  },
)
