import { until } from '@registry-manager/testing/until'
import t from 'tap'
import { ask as askSystem } from './harness/ask.ts'
import type { Question } from './harness/ask.ts'
import { MANIFEST_TYPE, annotated, digestOf, pushSmallImage } from './harness/small-image.ts'
import { startSystem } from './harness/system.ts'

interface Runs {
  readonly items: readonly { readonly tags: number; readonly manifests: number; readonly failures: number }[]
}

interface Events {
  readonly items: readonly {
    readonly action: string
    readonly principal: object
    readonly detail?: { readonly reason?: string }
  }[]
}

/** Retention with short intervals: it runs by itself, on one of several replicas, and deletes from the registry. */
const system = await startSystem(t, { env: { RETENTION_INTERVAL_SECONDS: '1' } })
const jane = await system.createUser('jane', ['team'])
const ask = (path: string, question: Question) => askSystem(system, path, question)
const manifest = (reference: string) => `/v2/team/app/manifests/${reference}`
const push = (body: string, tag: string) =>
  ask(manifest(tag), { as: jane, method: 'PUT', body, type: MANIFEST_TYPE })
const status = async (reference: string) => (await ask(manifest(reference), { as: jane })).status

t.test('tags and manifests that no rule keeps are deleted, and all others stay', async (t) => {
  const image = await pushSmallImage(system, jane, 'team/app', 'v1')
  const [old, latest, kept] = ['old', 'latest', 'kept'].map((text) => annotated(image, text)) as [
    string,
    string,
    string,
  ]
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [{ mediaType: MANIFEST_TYPE, digest: digestOf(kept), size: kept.length }],
  })
  t.match(await push(old, 'old'), { status: 201 })
  t.match(await push(kept, digestOf(kept)), { status: 201 })
  const type = 'application/vnd.oci.image.index.v1+json'
  t.match(await ask(manifest('multi'), { as: jane, method: 'PUT', body: index, type }), { status: 201 })
  t.match(await push(latest, 'latest'), { status: 201 })
  const rules = [
    {
      name: 'builds',
      repositories: 'team/*',
      tags: '*',
      except: ['multi'],
      keep: { last: 1, semver: '>=1' },
    },
    { name: 'untagged', repositories: 'team/*', untaggedAfterDays: 0.000_01 },
  ]
  const saved = await ask('/namespaces/team/retention', {
    as: system.admin,
    method: 'PUT',
    body: JSON.stringify({ rules }),
  })
  t.equal(saved.status, 200)
  const deleted = ['old', 'v1', digestOf(old), image.digest]
  await until(async () => (await Promise.all(deleted.map(status))).every((found) => found === 404))
  for (const reference of ['latest', digestOf(latest), 'multi', digestOf(kept)])
    t.equal(await status(reference), 200, reference)

  const runs = async () =>
    ((await ask('/namespaces/team/retention/runs', { as: system.admin })).json as Runs).items
  const sum = async (what: 'tags' | 'manifests') =>
    (await runs()).reduce((total, run) => total + run[what], 0)
  await until(async () => (await sum('tags')) === 2 && (await sum('manifests')) === 2)
  t.match(await runs(), [{ failures: 0 }])
  const { json } = await ask('/audit?repository=team/app&limit=200', { as: system.admin })
  const byRetention = (json as Events).items.filter(({ detail }) => detail?.reason === 'retention')
  t.strictSame(byRetention.map(({ action }) => action).toSorted(), [
    'manifest.delete',
    'manifest.delete',
    'tag.delete',
    'tag.delete',
  ])
  for (const { principal } of byRetention) t.match(principal, { kind: 'service', name: 'image-manager' })
})
