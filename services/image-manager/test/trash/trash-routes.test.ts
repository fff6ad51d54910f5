import t from 'tap'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { parseManifest } from '../../src/index/manifest.ts'
import { MANIFEST, blobsOf, databaseForTest, image, repositoriesOf } from '../fixtures/index-and-registry.ts'
import type { Name, RobotName } from '../fixtures/image-manager.ts'
import { BASE, startImageManager } from '../fixtures/image-manager.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)
const { askFor, registry, personalToken, token } = await startImageManager(t, db, undefined, undefined, 14)
const index = repositoriesOf(db)
const ID = '00000000-0000-4000-8000-000000000000'

async function push(raw: Buffer, tag: string, repository: string): Promise<string> {
  const parsed = parseManifest(raw, MANIFEST)
  if ('malformed' in parsed) throw new Error(parsed.malformed)
  registry.push(raw, MANIFEST, tag, repository)
  for (const blob of blobsOf(raw)) registry.repositories.get(repository)?.blobs.add(blob)
  const id = await index.pendingPushes.insertPendingPush({ repository, tag, manifest: parsed.manifest })
  const pending = await index.pendingPushes.findPendingPush(id ?? '')
  if (pending === undefined) throw new Error('the pending push is not stored')
  await recordOrUndoPush({ registry, ...index }, pending)
  return digestOf(raw)
}
const remove = (name: string) => askFor(`${BASE}/repositories/${name}`, { as: 'root', method: 'DELETE' })
const list = async (namespace: string, as: Name | RobotName = 'root') =>
  askFor(`/namespaces/${namespace}/trash`, { as })

t.test('only those who manage a namespace see, restore and purge its trash', async (t) => {
  await push(image('one'), 'v1', 'team/one')
  t.equal((await remove('team/one')).statusCode, 200)
  const [entry] = (await list('team')).json().items
  t.match(entry, { kind: 'repository', repository: 'team/one', tags: ['v1'], deletedBy: { kind: 'user' } })
  const requests = [
    ['GET', '/namespaces/team/trash'],
    ['POST', `/namespaces/team/trash/${entry.id}/restore`],
    ['DELETE', `/namespaces/team/trash/${entry.id}`],
  ] as const
  for (const [method, url] of requests) {
    t.equal((await askFor(url, { method })).statusCode, 401, `${method} without credentials`)
    for (const as of ['alice', 'otto', 'robot', 'every-robot'] as const)
      t.equal((await askFor(url, { method, as })).statusCode, 403, `${method} as ${as}`)
    const limited = await personalToken('root', null)
    t.equal((await askFor(url, { method, bearer: limited })).statusCode, 403, `${method} with limits`)
    const scoped = await token('root', [
      { type: 'repository', name: 'team/one', actions: ['pull', 'delete'] },
    ])
    t.equal((await askFor(url, { method, bearer: scoped })).statusCode, 403, `${method} with a scope`)
  }
  t.equal((await list('team', 'olga')).json().items.length, 1)
  // An owner of all repositories manages each namespace, but not all of them together.
  t.equal((await list('team', 'omar')).json().items.length, 1)
  for (const as of ['olga', 'omar'] as const) {
    const refused = await list('*', as)
    t.equal(refused.statusCode, 403, as)
    t.match(refused.json(), { detail: 'this request requires a cluster administrator' })
  }
  for (const namespace of ['lab', 'team%2Fother', 'te'])
    t.same((await list(namespace)).json().items, [], namespace)
  t.equal((await list('team%2Fone')).json().items.length, 1, 'a nested namespace covers its own name')
  const foreign = await askFor(`/namespaces/lab/trash/${entry.id}/restore`, { as: 'otto', method: 'POST' })
  t.match([foreign.statusCode, foreign.json().detail], [404, `the trash of lab has no entry ${entry.id}`])
  t.equal(
    (await askFor(`/namespaces/lab/trash/${entry.id}`, { as: 'otto', method: 'DELETE' })).statusCode,
    404,
  )
  const restored = await askFor(`/namespaces/team/trash/${entry.id}/restore`, { as: 'olga', method: 'POST' })
  t.same(
    [restored.statusCode, restored.json()],
    [200, { repository: 'team/one', manifests: 1, tags: ['v1'], taken: [], missing: [] }],
  )
  t.equal((await askFor(`${BASE}/repositories/team/one`, { as: 'alice' })).statusCode, 200)
})

t.test('the trash of a repository without a namespace is for cluster administrators', async (t) => {
  await push(image('plain'), 'v1', 'plain')
  await remove('plain')
  const [entry] = (await list('*')).json().items
  t.match(entry, { repository: 'plain' })
  t.same((await list('plain')).json().items, [])
  const restored = await askFor(`/namespaces/*/trash/${entry.id}/restore`, { as: 'root', method: 'POST' })
  t.match([restored.statusCode, restored.json()], [200, { repository: 'plain' }])
})

t.test('the trash is listed in pages, the newest entry first', async (t) => {
  for (const name of ['a', 'b', 'c']) {
    await push(image(name), 'v1', `lab/${name}`)
    await remove(`lab/${name}`)
  }
  const names: string[] = []
  for (let [next, pages] = ['', 0]; next !== null; pages += 1) {
    const query = next === '' ? '?limit=2' : `?limit=2&after=${next}`
    const page = (await askFor(`/namespaces/lab/trash${query}`, { as: 'otto' })).json()
    names.push(...page.items.map(({ repository }: { repository: string }) => repository))
    next = page.next
    if (pages > 3) throw new Error('the pages do not end')
  }
  t.same(names, ['lab/c', 'lab/b', 'lab/a'])
})

t.test('an invalid request to the trash is refused with the reason', async (t) => {
  for (const [url, field] of [
    ['/namespaces/Team/trash', 'namespace'],
    ['/namespaces/registry-manager-trash/trash', 'namespace'],
    ['/namespaces/team/trash?limit=0', 'limit'],
    ['/namespaces/team/trash?limit=201', 'limit'],
    ['/namespaces/team/trash?after=x', 'after'],
  ] as const) {
    const refused = await askFor(url, { as: 'root' })
    t.match([refused.statusCode, refused.json().field], [400, field], url)
  }
  const wrong = await askFor('/namespaces/team/trash/1/restore', { as: 'root', method: 'POST' })
  t.match([wrong.statusCode, wrong.json()], [400, { field: 'id', detail: /must be the id of an entry/ }])
  const unknown = await askFor(`/namespaces/team/trash/${ID}`, { as: 'root', method: 'DELETE' })
  t.match([unknown.statusCode, unknown.json().detail], [404, `the trash of team has no entry ${ID}`])
})

t.test('a purge needs no body and responds 204', async (t) => {
  const [entry] = (await list('lab')).json().items
  const purged = await askFor(`/namespaces/lab/trash/${entry.id}`, { as: 'otto', method: 'DELETE' })
  t.same([purged.statusCode, purged.body], [204, ''])
  t.equal((await list('lab')).json().items.length, 2)
})

t.test(
  'a restore that a quota does not permit, or into a repository that is being deleted, gets 409',
  async (t) => {
    const digest = await push(image('full'), 'v1', 'team/full')
    await push(image('rest'), 'v1', 'team/full')
    await index.deletions.beginDeletion('team/busy')
    await askFor('/namespaces/team/quota', { as: 'root', method: 'PUT' })
    await remove('team/full')
    await db.updateTable('namespace_usage').set({ quota_bytes: 1 }).where('namespace', '=', 'team').execute()
    const [entry] = (await list('team')).json().items
    const restore = () => askFor(`/namespaces/team/trash/${entry.id}/restore`, { as: 'root', method: 'POST' })
    const denied = await restore()
    t.match([denied.statusCode, denied.json().detail], [409, /the quota of team is exceeded/])
    await db
      .updateTable('namespace_usage')
      .set({ quota_bytes: null })
      .where('namespace', '=', 'team')
      .execute()
    await push(image('new'), 'v2', 'team/full')
    await index.deletions.beginDeletion('team/full')
    const busy = await restore()
    t.match([busy.statusCode, busy.json().detail], [409, /the repository team\/full is being deleted/])
    t.notOk(registry.repositories.get('team/full')?.manifests.has(digest))
  },
)
