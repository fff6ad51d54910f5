import t from 'tap'
import type { Manifest } from '../../kubernetes/kustomize/manifest.ts'
import { faultsOf } from '../../kubernetes/test/fixtures/schemas.ts'
import { workloadsOf } from '../../kubernetes/test/fixtures/pods.ts'
import { ofKind } from '../../kubernetes/test/fixtures/render.ts'
import { environmentInKubernetes } from '../../settings/test/fixtures/kubernetes-env.ts'
import { QUICKSTART, helmIsMissing, helmTemplate } from './fixtures/helm.ts'

const skip = await helmIsMissing()

const envOf = (manifests: readonly Manifest[], name: string) =>
  environmentInKubernetes(manifests, name, (key) => `of ${key}`)
const podOf = (manifests: readonly Manifest[], name: string) =>
  workloadsOf(manifests).find((workload) => workload.name === name)?.spec
const volumeOf = (manifests: readonly Manifest[], volume: string) =>
  podOf(manifests, 'nginx').volumes.find(({ name }: { name: string }) => name === volume)

t.test('with a ReadWriteMany volume, nginx and the registry may run on any node', { skip }, async (t) => {
  const storage = { type: 'volume', volume: { accessMode: 'ReadWriteMany' } }
  const manifests = await helmTemplate(t, { storage }, QUICKSTART)
  t.same(await faultsOf(manifests, '1.36'), [])
  t.match(
    ofKind(manifests, 'PersistentVolumeClaim').find(({ metadata }) => metadata.name === 'images')?.['spec'],
    { accessModes: ['ReadWriteMany'] },
  )
  for (const name of ['nginx', 'registry']) t.equal(podOf(manifests, name).affinity, undefined, name)
  const budgets = ofKind(manifests, 'PodDisruptionBudget').map(({ metadata }) => metadata.name)
  t.ok(budgets.includes('nginx'))
  t.equal(envOf(manifests, 'nginx')['CONTENT_FROM'], 'volume')
})

t.test('an affinity of the values is added to the one that keeps pods on one node', { skip }, async (t) => {
  const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } }
  const manifests = await helmTemplate(t, { affinity }, QUICKSTART)
  for (const name of ['nginx', 'registry'])
    t.match(podOf(manifests, name).affinity, {
      ...affinity,
      podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{}] },
    })
  t.same(podOf(manifests, 'image-manager').affinity, affinity)
})

t.test(
  'the content cache has the sizes of the values, on a disk of the node or a claim',
  { skip },
  async (t) => {
    const contentCache = { size: '5g', volumeSize: '9Gi' }
    const onNode = await helmTemplate(t, { nginx: { contentCache } })
    t.equal(envOf(onNode, 'nginx')['CONTENT_CACHE_SIZE'], '5g')
    t.same(volumeOf(onNode, 'content'), { name: 'content', emptyDir: { sizeLimit: '9Gi' } })
    const claiming = { ...contentCache, claim: true, storageClassName: 'quick' }
    const onClaim = await helmTemplate(t, { nginx: { contentCache: claiming } })
    t.same(await faultsOf(onClaim, '1.36'), [])
    const resources = { requests: { storage: '9Gi' } }
    const spec = { accessModes: ['ReadWriteOnce'], resources, storageClassName: 'quick' }
    t.same(volumeOf(onClaim, 'content'), { name: 'content', ephemeral: { volumeClaimTemplate: { spec } } })
  },
)

t.test(
  'nginx takes content from the registry if the values say so, also with a volume',
  { skip },
  async (t) => {
    const manifests = await helmTemplate(t, { nginx: { contentFrom: 'registry' } }, QUICKSTART)
    t.equal(envOf(manifests, 'nginx')['CONTENT_FROM'], 'registry')
    t.equal(volumeOf(manifests, 'images'), undefined)
    t.equal(podOf(manifests, 'nginx').affinity, undefined)
  },
)

t.test('helm refuses a wrong source of content, and a volume that does not exist', { skip }, async (t) => {
  await t.rejects(helmTemplate(t, { nginx: { contentFrom: 'disk' } }), /contentFrom/)
  await t.rejects(helmTemplate(t, { nginx: { contentFrom: 'volume' } }), /requires storage.type: volume/)
  await t.rejects(helmTemplate(t, { storage: { volume: { accessMode: 'ReadOnlyMany' } } }), /accessMode/)
})

t.test('redirects to S3 are enabled in the registry and in registry-proxy together', { skip }, async (t) => {
  const redirects = 'https://minio.example.com:9000'
  const manifests = await helmTemplate(t, { storage: { s3: { redirects } } })
  t.equal(envOf(manifests, 'registry')['REGISTRY_STORAGE_REDIRECT_DISABLE'], 'false')
  t.equal(envOf(manifests, 'registry-proxy')['BLOB_REDIRECTS'], redirects)
})
