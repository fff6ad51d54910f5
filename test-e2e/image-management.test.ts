import t from 'tap'
import { MANIFEST_TYPE, digestOf, pushBlob, pushSmallImage } from './harness/small-image.ts'
import type { Credentials, System } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

const API = '/image-manager/api/v1/repositories'

async function ask(system: System, credentials: Credentials, path: string, init: RequestInit = {}) {
  const headers = { authorization: basic(credentials), ...(init.headers as Record<string, string>) }
  const response = await fetch(system.url + path, { ...init, headers })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers }
}

const system = await startSystem(t)
const [jane, bob] = [await system.createUser('jane', ['team']), await system.createUser('bob', ['lab'])]

t.test('image management shows and changes only repositories that the user has rights to', async (t) => {
  const image = await pushSmallImage(system, jane, 'team/app', 'v1')
  await pushSmallImage(system, bob, 'lab/tool', 'v1')
  await pushSmallImage(system, system.admin, 'alone', 'v1')
  const catalogOf = async (credentials: Credentials) =>
    (await ask(system, credentials, '/v2/_catalog')).body.repositories
  const listOf = async (credentials: Credentials) =>
    (await ask(system, credentials, API)).body.repositories.map(({ name }: { name: string }) => name)

  t.strictSame(await catalogOf(system.admin), ['alone', 'lab/tool', 'team/app'])
  t.strictSame(await catalogOf(jane), ['team/app'])
  t.strictSame(await catalogOf(bob), ['lab/tool'])
  t.strictSame(await listOf(jane), ['team/app'])
  t.match(await ask(system, bob, `${API}/team/app`), { status: 404 })
  t.match(await ask(system, bob, `${API}/absent/app`), { status: 404 })
  t.match(await ask(system, bob, '/v2/team/app/manifests/v1'), { status: 403 })

  const put = { method: 'PUT', body: '{"scope":"global"}' }
  t.match(
    await ask(system, bob, `${API}/team/app`, put),
    { status: 404 },
    'an invisible repository cannot be changed',
  )
  t.match(await ask(system, jane, `${API}/team/app`, put), { status: 200, body: 'OK' })
  t.strictSame(await catalogOf(bob), ['lab/tool', 'team/app'], 'every user sees a global repository')
  t.match(
    await ask(system, bob, `${API}/team/app`, put),
    { status: 403 },
    'other users cannot change a global repository',
  )
  t.match(await ask(system, bob, `${API}/team/app`, { method: 'DELETE' }), { status: 403 })
  const token = await tokenFor(system, bob, 'repository:team/app:pull,push')
  const pull = await fetch(`${system.url}/v2/team/app/manifests/v1`, {
    headers: { authorization: `Bearer ${token}` },
  })
  t.equal(await pull.text(), image.manifest, 'other users can pull from a global repository')
  await t.rejects(
    pushSmallImage(system, bob, 'team/app', 'v2'),
    /403/,
    'other users cannot push to a global repository',
  )

  const scoped = {
    headers: { authorization: `Bearer ${await tokenFor(system, jane, 'repository:team/app:pull')}` },
  }
  t.match(
    await ask(system, jane, `${API}/team/app`, scoped),
    { status: 200 },
    'a pull token reads a repository',
  )
  t.match(
    await ask(system, jane, `${API}/team/app`, { ...scoped, method: 'DELETE' }),
    { status: 403 },
    'a pull token cannot delete',
  )
  t.match(await ask(system, jane, API, scoped), { status: 403 }, 'a pull token cannot list repositories')
})

t.test('a deleted repository is gone with its blobs', async (t) => {
  const image = await pushSmallImage(system, jane, 'team/gone', 'v1')
  t.match(await ask(system, jane, `/v2/team/gone/blobs/${image.layer}`), { status: 200 })
  t.match(await ask(system, jane, `${API}/team/gone`, { method: 'DELETE' }), { status: 200, body: '' })
  for (const path of [`blobs/${image.layer}`, 'manifests/v1', `manifests/${image.digest}`, 'tags/list']) {
    t.match(await ask(system, jane, `/v2/team/gone/${path}`), { status: 404 }, path)
  }
  const { repositories } = (await ask(system, jane, '/v2/_catalog')).body
  t.notOk(repositories.includes('team/gone'), 'the catalog does not list the repository')
  await pushSmallImage(system, jane, 'team/gone', 'v2')
  t.strictSame((await ask(system, jane, '/v2/team/gone/tags/list')).body, { name: 'team/gone', tags: ['v2'] })
})

t.test('tags are listed in pages and deleted one by one', async (t) => {
  const image = await pushSmallImage(system, jane, 'team/tags', 'a')
  const tag = () => ({ method: 'PUT', body: image.manifest, headers: { 'content-type': MANIFEST_TYPE } })
  for (const name of ['B', 'c', 'd']) await ask(system, jane, `/v2/team/tags/manifests/${name}`, tag())

  const first = await ask(system, jane, '/v2/team/tags/tags/list?n=3')
  t.strictSame(first.body.tags, ['B', 'a', 'c'], 'tags come in byte order')
  t.equal(first.headers.get('link'), '</v2/team/tags/tags/list?last=c&n=3>; rel="next"')
  const next = await ask(system, jane, '/v2/team/tags/tags/list?last=c&n=3')
  t.strictSame(next.body.tags, ['d'], 'the parameter last is exclusive')
  t.equal(next.headers.get('link'), null)
  t.strictSame((await ask(system, jane, '/v2/team/tags/tags/list?n=0')).body.tags, [])

  t.match(await ask(system, jane, '/v2/team/tags/manifests/c', { method: 'DELETE' }), { status: 202 })
  t.match(await ask(system, jane, '/v2/team/tags/manifests/c', { method: 'DELETE' }), { status: 404 })
  t.strictSame((await ask(system, jane, '/v2/team/tags/tags/list')).body.tags, ['B', 'a', 'd'])
  t.match(await ask(system, jane, '/v2/team/tags/manifests/a'), { status: 200 }, 'the manifest remains')
  t.match(await ask(system, jane, `/v2/team/tags/manifests/${image.digest}`, { method: 'DELETE' }), {
    status: 202,
  })
  const emptied = await ask(system, jane, '/v2/team/tags/tags/list')
  t.match(emptied, { status: 200, body: { tags: [] } }, 'a repository without manifests has no tags')
})

t.test('image management lists the referrers of a manifest', async (t) => {
  const image = await pushSmallImage(system, jane, 'team/subject', 'v1')
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 }
  await pushBlob(system, jane, 'team/subject', Buffer.from('{}'))
  const attach = async (artifactType: string) => {
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      artifactType,
      config,
      layers: [config],
      subject: { mediaType: MANIFEST_TYPE, digest: image.digest, size: image.manifest.length },
      annotations: { made: 'here' },
    })
    const digest = digestOf(manifest)
    const headers = { 'content-type': MANIFEST_TYPE }
    const pushed = await ask(system, jane, `/v2/team/subject/manifests/${digest}`, {
      method: 'PUT',
      body: manifest,
      headers,
    })
    t.match(pushed, { status: 201 })
    t.equal(pushed.headers.get('oci-subject'), image.digest)
    return {
      mediaType: MANIFEST_TYPE,
      digest,
      size: manifest.length,
      artifactType,
      annotations: { made: 'here' },
    }
  }
  const attached = [await attach('application/example.signature'), await attach('application/example.sbom')]

  const all = await ask(system, jane, `/v2/team/subject/referrers/${image.digest}`)
  t.equal(all.headers.get('content-type'), 'application/vnd.oci.image.index.v1+json')
  const inOrder = attached.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
  t.strictSame(all.body.manifests, inOrder, 'referrers come in the order of their digests')
  const some = await ask(
    system,
    jane,
    `/v2/team/subject/referrers/${image.digest}?artifactType=application/example.sbom`,
  )
  t.strictSame(some.body.manifests, attached.slice(1))
  t.equal(some.headers.get('oci-filters-applied'), 'artifactType')
  const none = await ask(system, jane, `/v2/team/subject/referrers/${digestOf('nothing')}`)
  t.strictSame(none.body, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [],
  })
})
