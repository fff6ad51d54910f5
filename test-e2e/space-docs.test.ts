import t from 'tap'
import type { Question } from './harness/ask.ts'
import { ask as askSystem } from './harness/ask.ts'
import { runCommand } from './harness/run-command.ts'
import { MANIFEST_TYPE, annotated, digestOf, pushSmallImage } from './harness/small-image.ts'
import { commandsOfSpace, sectionOfSpace } from './harness/space-page.ts'
import { startSystem, tokenFor } from './harness/system.ts'
import { until } from '@registry-manager/testing/until'

/* Runs the commands of docs/space.md as they are printed; only the URL is replaced. */

const API = '/image-manager/api/v1/repositories'

const system = await startSystem(t)
const jane = await system.createUser('jane', ['team'])
const olga = await system.createUser('olga', [])

const ask = (path: string, question: Question) => askSystem(system, path, question)
const putManifest = (body: string): Question => ({ method: 'PUT', body, type: MANIFEST_TYPE })

async function run(command: string, env: Readonly<Record<string, string>>): Promise<string> {
  const script = command.replaceAll('https://registry.example.com', system.url)
  return (await runCommand('sh', ['-euc', script], { env })).stdout
}

t.test('an immutable tag is neither moved nor deleted until its rule is removed', async (t) => {
  const grant = { subject: { kind: 'user', name: 'olga' }, repositories: 'team/*', role: 'owner' }
  const granted = { as: system.admin, method: 'POST', body: JSON.stringify(grant) }
  t.match(await ask('/namespaces/team/grants', granted), { status: 201 })
  const env = { OLGA: `${olga.username}:${olga.password}` }
  const [protect = '', unprotect = '', ...others] = commandsOfSpace('Immutable tags')
  t.strictSame(others, [], 'every block of the section is run')
  await run(protect, env)
  t.match(await ask('/namespaces/team/immutability', { as: jane }), { status: 403 }, 'jane manages nothing')

  const image = await pushSmallImage(system, jane, 'team/fixed', 'v1')
  const path = '/v2/team/fixed/manifests/'
  const by = { tag: 'v1', rule: 'releases', namespace: 'team' }
  const message = 'the tag v1 of team/fixed is immutable by the rule releases of the namespace team'
  const moved = annotated(image, 'moved')
  const token = await tokenFor(system, jane, 'repository:team/fixed:pull,push')
  const put = (reference: string, body: string) => ask(path + reference, { as: jane, ...putManifest(body) })
  for (const pushed of [
    await put('v1', moved),
    await ask(`${path}v1`, { bearer: token, ...putManifest(moved) }),
    await put(`${digestOf(moved)}?tag=v1`, moved),
  ]) {
    t.equal(pushed.status, 403)
    t.strictSame(pushed.json, {
      errors: [
        {
          code: 'DENIED',
          message: `${message}, and names ${image.digest}`,
          detail: { ...by, digest: image.digest },
        },
      ],
    })
  }
  t.match(await put('v1', image.manifest), { status: 201 }, 'the same manifest again')
  t.match(await put('latest', image.manifest), { status: 201 })
  t.match(await put('latest', moved), { status: 201 }, 'an exception moves')

  const deletion = { as: jane, method: 'DELETE' }
  const blob = `/v2/team/fixed/blobs/${image.layer}`
  for (const target of [`${path}v1`, path + image.digest, `${path}${image.digest}?force=true`, blob]) {
    const deleted = await ask(target, deletion)
    t.match(deleted, { status: 403, json: { errors: [{ code: 'DENIED', message, detail: by }] } }, target)
  }
  const refused = await ask(`${API}/team/fixed`, deletion)
  t.match(refused, { status: 403, json: { detail: message } })
  for (const content of [`${path}v1`, path + image.digest, blob])
    t.match(await ask(content, { as: jane }), { status: 200 }, content)
  t.match(await ask(`${path}latest`, deletion), { status: 202 }, 'an exception is deleted')

  t.equal(await run(unprotect, env), '{"rules":[]}{"rules":[]}')
  t.match(await put('v1', moved), { status: 201 })
  t.match(await ask(`${API}/team/fixed`, deletion), { status: 200 })
})

t.test('a quota limits the bytes and repositories of a namespace', async (t) => {
  const [set = '', read = '', recount = '', ...others] = commandsOfSpace('Quotas')
  t.strictSame(others, [], 'every block of the section is run')
  const { username, password } = system.admin
  const runJson = async (command: string) =>
    JSON.parse(await run(command, { ADMIN: `${username}:${password}` }))
  const image = await pushSmallImage(system, jane, 'team/quota', 'v1')
  const documented = JSON.parse(/^```json\n(.*?)^```$/ms.exec(sectionOfSpace('Quotas'))?.[1] ?? '{}')
  t.strictSame(await runJson(set), documented.quota)
  const usage = await runJson(read)
  t.strictSame({ ...usage, bytes: 0, repositories: 0 }, { ...documented, bytes: 0, repositories: 0 })
  t.ok(usage.bytes > image.manifest.length + 64)
  t.match(await ask('/namespaces/team/usage', { as: jane }), { status: 403 }, 'jane does not manage team')

  const limit = (quota: object) =>
    ask('/namespaces/team/quota', { as: system.admin, method: 'PUT', body: JSON.stringify(quota) })
  const bytes = usage.bytes + 10
  t.match(await limit({ bytes }), { status: 200, json: { bytes, repositories: null } })
  const put = (manifest: string, tag: string) =>
    ask(`/v2/team/quota/manifests/${tag}`, { as: jane, ...putManifest(manifest) })
  const more = annotated(image, 'more')
  const needed = more.length
  t.match(await put(more, 'v2'), {
    status: 403,
    json: {
      errors: [
        {
          code: 'DENIED',
          message: `it uses ${usage.bytes} of ${bytes} bytes, and this push needs ${needed} more`,
          detail: {
            quota: { namespace: 'team', resource: 'bytes', used: usage.bytes, limit: bytes, needed },
          },
        },
      ],
    },
  })
  t.match(await put(image.manifest, 'v3'), { status: 201 }, 'another tag of the same image needs nothing')
  t.strictSame((await runJson(read)).bytes, usage.bytes)
  await ask(`${API}/team/quota`, { as: jane, method: 'DELETE' })
  const after = await runJson(read)
  t.ok(after.bytes <= usage.bytes - image.manifest.length - 64, 'the deletion gives the bytes back')
  t.equal(after.repositories, usage.repositories - 1)
  t.match(await runJson(recount), { namespace: 'team', bytes: after.bytes, counting: true })
  t.match(await limit({}), { status: 200, json: { bytes: null } })
})

t.test(
  'rules of retention are saved, and a dry run has the decision about each tag with its reason',
  async (t) => {
    const grant = { subject: { kind: 'user', name: 'olga' }, repositories: 'team/*', role: 'owner' }
    await ask('/namespaces/team/grants', { as: system.admin, method: 'POST', body: JSON.stringify(grant) })
    const env = { OLGA: `${olga.username}:${olga.password}` }
    const [save = '', tryRules = '', trySaved = '', listRuns = '', ...others] = commandsOfSpace('Retention')
    t.strictSame(others, [], 'every block of the section is run')
    t.match(JSON.parse(await run(save, env)).rules, [{ name: 'builds' }, { name: 'untagged' }])
    const one = await pushSmallImage(system, jane, 'team/app', 'v1')
    const two = annotated(one, 'the second one')
    t.match(await ask('/v2/team/app/manifests/v2', { as: jane, ...putManifest(two) }), { status: 201 })
    const [, documented = ''] = /^```json\n(.*?)^```$/ms.exec(sectionOfSpace('Retention')) ?? []
    const digests = [one.digest, digestOf(two)]
    const expected = JSON.parse(documented).items.map((item: object, at: number) => ({
      ...item,
      digest: digests[at],
    }))
    t.strictSame(JSON.parse(await run(tryRules, env)), { items: expected, next: null })
    const saved = JSON.parse(await run(trySaved, env)).items
    t.match(
      saved.filter((item: { repository: string }) => item.repository === 'team/app'),
      [
        { tag: 'v1', outcome: 'kept', reason: 'last', rule: 'builds' },
        { tag: 'v2', outcome: 'kept', reason: 'last', rule: 'builds' },
      ],
    )
    t.ok(Array.isArray(JSON.parse(await run(listRuns, env)).items))
    t.match(await ask('/namespaces/team/retention', { as: jane }), { status: 403 }, 'jane manages nothing')
    for (const target of ['/v2/team/app/manifests/v2', `${API}/team/app`])
      t.match((await ask(target, { as: jane, method: 'DELETE' })).status, /20[02]/)
  },
)

t.test('pulls are counted by tag and by digest, and the lists show them', async (t) => {
  const image = await pushSmallImage(system, jane, 'team/app', 'v1')
  const env = { JANE: `${jane.username}:${jane.password}` }
  const [listTags = '', listManifests = '', ...others] = commandsOfSpace('Pulls')
  t.strictSame(others, [], 'every block of the section is run')
  const list = async (command: string) => JSON.parse(await run(command, env)).items
  t.match(await list(listTags), [{ name: 'v1', digest: image.digest, pulls: 0, lastPulledAt: null }])
  const bearer = await tokenFor(system, jane, 'repository:team/app:pull')
  const path = (reference: string) => `/v2/team/app/manifests/${reference}`
  const begin = Date.now()
  t.match(await ask(path('v1'), { bearer }), { status: 200 })
  t.match(await ask(path('v1'), { as: jane }), { status: 200 }, 'with a password')
  t.match(await ask(path('v1'), { bearer, method: 'HEAD' }), { status: 200 })
  t.match(await ask(path(image.digest), { bearer }), { status: 200 })
  await until(async () => (await list(listManifests))[0].pulls >= 3)
  const [tag] = await list(listTags)
  t.match(tag, { name: 'v1', pulls: 2 }, 'HEAD does not count')
  t.ok(Date.parse(tag.lastPulledAt) >= begin - 1000 && Date.parse(tag.lastPulledAt) <= Date.now() + 1000)
  t.match(await list(listManifests), [{ digest: image.digest, tags: ['v1'], pulls: 3 }])
})

t.test('cluster administrators see, pause and resume the garbage collection', async (t) => {
  const { username, password } = system.admin
  const certificates = { NODE_EXTRA_CA_CERTS: process.env['CURL_CA_BUNDLE'] ?? '' }
  const env = { ADMIN: `${username}:${password}`, ...certificates }
  const [report = '', print = '', status = '', settings = '', unknown = '', ...others] =
    commandsOfSpace('Disk space')
  t.strictSame(others, [], 'every block of the section is run')
  const documented = [...sectionOfSpace('Disk space').matchAll(/^\| `(\w+)`(?:, `(\w+)`, `(\w+)`)? \|/gm)]
  const fields = documented.flatMap(([, ...names]) => names).filter((name) => name !== undefined)
  const reported = `[${(await run(report, env)).replaceAll('}{', '},{')}]`
  t.match(JSON.parse(reported), [
    { repositories: Number, namespaces: Number },
    { items: [{ namespace: String, bytes: Number }] },
    { items: [{ repository: String, bytes: Number, frees: Number }], next: null },
  ])
  t.match(await run(print, env), /Largest repositories, of \d+\n.* manifests; its deletion frees /)
  const state = JSON.parse(await run(status, env))
  t.same(
    fields.filter((name) => !(name in state)),
    [],
  )
  t.match(state, { state: /^running$|^waiting-for-reconcile$/, paused: false, blobsPerSecond: null })
  const [paused, resumed, ...more] = (await run(settings, env)).split(/(?<=\})(?=\{"state")/)
  t.strictSame(more, [])
  t.match(JSON.parse(paused ?? ''), { state: 'paused', paused: true, blobsPerSecond: 500 })
  t.match(JSON.parse(resumed ?? ''), { paused: false, blobsPerSecond: null })
  t.match(JSON.parse(await run(unknown, env)), { items: [], next: null })
  t.match(await ask('/storage/collection', { as: jane }), { status: 403 })
})

t.test('deleted content is in the trash, and can be restored or purged', async (t) => {
  const [list = '', restore = '', purge = '', ...others] = commandsOfSpace('Trash')
  t.strictSame(others, [], 'every block of the section is run')
  const env = { OLGA: `${system.admin.username}:${system.admin.password}` }
  const image = await pushSmallImage(system, jane, 'team/trashed', 'v1')
  const path = `/v2/team/trashed/manifests/${image.digest}`
  const readTrash = async () =>
    JSON.parse(await run(list, env)).items.filter(
      ({ repository }: { repository: string }) => repository === 'team/trashed',
    )
  const [listed, restored] = [...sectionOfSpace('Trash').matchAll(/^```json\n(.*?)^```$/gms)].map(
    ([, text]) => JSON.parse(text ?? '{}'),
  )
  t.match(await ask(path, { as: jane, method: 'DELETE' }), { status: 202 })
  t.match(await ask(path, { as: jane }), { status: 404 })
  const [entry] = await readTrash()
  t.match(entry, { kind: 'manifest', digest: image.digest, tags: ['v1'], deletedBy: { name: 'jane' } })
  t.strictSame(Object.keys(entry), Object.keys(listed.items[0]), 'the documented fields')
  t.strictSame(JSON.parse(await run(restore, { ...env, ID: entry.id })), {
    ...restored,
    repository: 'team/trashed',
  })
  t.match(await ask(path, { as: jane }), { status: 200 })
  t.match(await ask(path, { as: jane, method: 'DELETE' }), { status: 202 })
  const [again] = await readTrash()
  await run(purge, { ...env, ID: again.id })
  t.strictSame(await readTrash(), [])
})
