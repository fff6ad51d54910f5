import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { environmentInKubernetes } from '../../settings/test/fixtures/kubernetes-env.ts'
import { render, renderInto, writeKustomization } from '../kustomize/render.ts'
import type { Workload } from './fixtures/pods.ts'
import { selects, workloadsOf } from './fixtures/pods.ts'
import type { Manifest } from './fixtures/render.ts'
import { kustomizeIsMissing, ofKind } from './fixtures/render.ts'

const GIB = 1024 ** 3

const envOf = (manifests: readonly Manifest[], name: string) =>
  environmentInKubernetes(manifests, name, (key) => `of ${key}`)
const podOf = (manifests: readonly Manifest[], name: string) =>
  workloadsOf(manifests).find((workload) => workload.name === name) as Workload

/** The volume that holds a path of a pod's container, and whether it is mounted read-only. */
function volumeAt({ spec }: Workload, path = '') {
  const mounts = spec.containers[0].volumeMounts as { name: string; mountPath: string; readOnly?: boolean }[]
  const holding = mounts.filter(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`))
  const [mount] = holding.toSorted((one, other) => other.mountPath.length - one.mountPath.length)
  const volume = spec.volumes.find(({ name }: { name: string }) => name === mount?.name)
  return { ...volume, readOnly: mount?.readOnly === true }
}

t.test(
  'nginx has the volumes and settings that its CONTENT_FROM needs',
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const folder = t.testdir()
    const { overlays } = await renderInto(folder)
    const withNginx = Object.entries(overlays).filter(([, manifests]) => podOf(manifests, 'nginx'))
    t.equal(withNginx.length, 7)

    await t.test('the decision cache, which contains access tokens, is in bounded memory', async (t) => {
      for (const [overlay, manifests] of withNginx) {
        const { DECISION_CACHE, DECISION_CACHE_DIR } = envOf(manifests, 'nginx')
        t.equal(DECISION_CACHE, 'decisions')
        const { emptyDir } = volumeAt(podOf(manifests, 'nginx'), DECISION_CACHE_DIR)
        t.match(emptyDir, { medium: 'Memory', sizeLimit: /^\d+Mi$/ }, overlay)
      }
    })

    await t.test("in the quickstart nginx reads the registry's volume and cannot write it", async (t) => {
      const [nginx, registry] = [podOf(overlays.quickstart, 'nginx'), podOf(overlays.quickstart, 'registry')]
      const { CONTENT_FROM, REGISTRY_VOLUME } = envOf(overlays.quickstart, 'nginx')
      t.equal(CONTENT_FROM, 'volume')
      const images = volumeAt(nginx, REGISTRY_VOLUME)
      t.match(images, { persistentVolumeClaim: { claimName: 'images' }, readOnly: true })
      t.match(volumeAt(registry, '/var/lib/registry'), { persistentVolumeClaim: { claimName: 'images' } })
      for (const field of ['fsGroup', 'fsGroupChangePolicy'])
        t.equal(nginx.spec.securityContext[field], registry.spec.securityContext[field], field)
    })

    await t.test('pods that share a volume of one node run on one node, and a drain moves them', async (t) =>
      sharingPodsStayTogether(t, overlays.quickstart),
    )

    await t.test('with S3 nginx has a content cache that is smaller than its volume', async (t) => {
      const nginx = podOf(overlays.production, 'nginx')
      const { CONTENT_FROM, CONTENT_CACHE_DIR, CONTENT_CACHE_SIZE } = envOf(overlays.production, 'nginx')
      t.equal(CONTENT_FROM, 'cache')
      const gib = Number(/^(\d+)g$/.exec(CONTENT_CACHE_SIZE ?? '')?.[1])
      const { emptyDir } = volumeAt(nginx, CONTENT_CACHE_DIR)
      t.equal(emptyDir.medium, undefined, 'the cache is on disk')
      t.ok(bytes(emptyDir.sizeLimit) >= 1.5 * gib * GIB)
      const { requests } = nginx.spec.containers[0].resources
      t.ok(bytes(requests['ephemeral-storage']) >= gib * GIB, 'the node has space for it')
    })

    await t.test('the component content-from-registry removes the volume and the cache', async (t) => {
      const quickstart = join(folder, 'kubernetes/overlays/quickstart-from-registry')
      const text = '{resources: [../quickstart], components: [../../components/content-from-registry]}'
      await writeKustomization(quickstart, text)
      for (const manifests of [overlays['with-content-from-registry'], await render(quickstart)]) {
        const nginx = podOf(manifests, 'nginx')
        t.equal(envOf(manifests, 'nginx')['CONTENT_FROM'], 'registry')
        const names = nginx.spec.volumes.map(({ name }: { name: string }) => name)
        t.same(names.toSorted(), ['config', 'decisions', 'tls', 'tmp'])
        t.equal(nginx.spec.affinity, undefined)
      }
    })

    await t.test('the registry redirects to S3 exactly where registry-proxy passes that on', async (t) => {
      for (const [overlay, manifests] of Object.entries(overlays)) {
        const { REGISTRY_STORAGE, REGISTRY_STORAGE_REDIRECT_DISABLE } = envOf(manifests, 'registry')
        if (REGISTRY_STORAGE !== 's3') continue
        const passes = envOf(manifests, 'registry-proxy')['BLOB_REDIRECTS'] !== undefined
        t.equal(REGISTRY_STORAGE_REDIRECT_DISABLE, String(!passes), overlay)
        t.equal(passes, overlay === 'with-redirects', overlay)
      }
    })
  },
)

function sharingPodsStayTogether(t: Test, manifests: readonly Manifest[]) {
  const [claim] = ofKind(manifests, 'PersistentVolumeClaim')
  t.same(claim?.['spec'].accessModes, ['ReadWriteOnce'])
  const sharing = workloadsOf(manifests).filter(({ spec }) =>
    spec.volumes?.some(
      (volume: { persistentVolumeClaim?: { claimName: string } }) =>
        volume.persistentVolumeClaim?.claimName === claim?.metadata.name,
    ),
  )
  t.same(sharing.map(({ name }) => name).toSorted(), ['nginx', 'registry'])
  for (const { name, spec } of sharing) {
    const [term, ...more] = spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution
    t.same(more, [])
    t.equal(term.topologyKey, 'kubernetes.io/hostname')
    // A pod may start alone only if the term matches the pod itself.
    for (const other of sharing)
      t.ok(selects(term.labelSelector, other.labels), `${name} follows ${other.name}`)
    const budgets = ofKind(manifests, 'PodDisruptionBudget').filter(({ metadata }) => metadata.name === name)
    t.same(budgets, [], `a drain would wait for ever for ${name}`)
  }
}

/** The bytes of a quantity of Kubernetes in Mi or Gi. */
function bytes(quantity: string): number {
  const [, number, unit] = /^(\d+)([MG])i$/.exec(quantity) ?? []
  return Number(number) * (unit === 'G' ? GIB : 1024 ** 2)
}
