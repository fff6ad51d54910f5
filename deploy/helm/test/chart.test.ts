import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { parse } from 'yaml'
import type { Manifest } from '../../kubernetes/kustomize/manifest.ts'
import type { Overlay } from '../../kubernetes/kustomize/render.ts'
import { faultsOf } from '../../kubernetes/test/fixtures/schemas.ts'
import { containersOf, workloadsOf } from '../../kubernetes/test/fixtures/pods.ts'
import { kustomizeIsMissing, ofKind, renderOverlays } from '../../kubernetes/test/fixtures/render.ts'
import { CHART, generatedChart, prometheusRule } from '../generated.ts'
import { withoutHash } from '../substitute.ts'
import { VALUES, helm, helmIsMissing, helmTemplate } from './fixtures/helm.ts'

const noKustomize = await kustomizeIsMissing()
const noHelm = await helmIsMissing()

const HELMS_OWN = /^(?:app\.kubernetes\.io\/(?:managed-by|instance)|helm\.sh\/.*|checksum\/.*)$/

/**
 * Objects by kind and name, without intended differences: the namespace and Secrets, which the chart does not create;
 * hashes in names (kustomize) and checksums in annotations (Helm), which roll the pods; Helm's labels and annotations.
 */
function comparable(manifests: readonly Manifest[]): Record<string, unknown> {
  const compared = manifests.filter(({ kind }) => kind !== 'Namespace' && kind !== 'Secret')
  const entries = compared.map((manifest): [string, unknown] => {
    const name = withoutHash(manifest.metadata.name)
    return [`${manifest.kind}/${name}`, simplified({ ...manifest, metadata: { ...manifest.metadata, name } })]
  })
  return Object.fromEntries(entries)
}

function simplified(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const entries = value.map((entry) => simplified(entry) as { readonly name: string })
    // A patch of Kustomize moves the variables that it sets to the front.
    return key === 'env' ? entries.toSorted((one, other) => (one.name < other.name ? -1 : 1)) : entries
  }
  if (typeof value === 'string') return key.startsWith('configMap') ? withoutHash(value) : value
  if (value === null || typeof value !== 'object') return value
  const isEmpty = (child: unknown) => Object.keys(child as object).length === 0
  const entries = Object.entries(value)
    .filter(([name]) => !HELMS_OWN.test(name))
    .map(([name, child]) => [name, simplified(child, key.startsWith('configMap') ? key : name)] as const)
    .filter(([name, child]) => !['annotations', 'labels'].includes(name) || !isEmpty(child))
  return Object.fromEntries(entries)
}

/** Rendered once for all tests, if kustomize can run. */
const rendered = noKustomize ? undefined : renderOverlays(t)

t.test(
  'the generated files of the chart are current; npm run helm updates them',
  { skip: noKustomize },
  async (t) => {
    const [path, rule] = await prometheusRule()
    t.equal(await readFile(path, 'utf8'), rule, path)
    const { overlays } = (await rendered)!
    const files = await generatedChart(overlays)
    t.ok(files.size > 15, `${files.size} files`)
    for (const [file, text] of files) t.equal(await readFile(file, 'utf8'), text, file)
  },
)

t.test(
  'helm and kustomize create the same objects for every overlay',
  { skip: noKustomize || noHelm },
  async (t) => {
    const { overlays } = (await rendered)!
    for (const [overlay, { values, args }] of Object.entries(VALUES)) {
      const made = comparable(await helmTemplate(t, values, args))
      const expected = comparable(overlays[overlay as Overlay])
      t.same(Object.keys(made).toSorted(), Object.keys(expected).toSorted(), `${overlay}: the same objects`)
      for (const [name, object] of Object.entries(expected)) t.same(made[name], object, `${overlay}: ${name}`)
    }
  },
)

t.test('the chart, package.json and the Kustomize base have the same version', async (t) => {
  const { version } = JSON.parse(await readFile(join(CHART, '../../../package.json'), 'utf8'))
  t.match(parse(await readFile(join(CHART, 'Chart.yaml'), 'utf8')), { version, appVersion: version })
  const base = parse(await readFile(join(CHART, '../../kubernetes/base/kustomization.yaml'), 'utf8'))
  t.match(base.images, [{ name: 'registry-manager', newTag: version }])
})

t.test('helm lint finds nothing wrong with the chart', { skip: noHelm }, async (t) => {
  t.match(await helm('lint', '--strict', CHART), '0 chart(s) failed')
})

t.test('helm refuses a misspelt or invalid value', { skip: noHelm }, async (t) => {
  await t.rejects(helmTemplate(t, { publicHostname: 'registry.example.com' }), /publicHostname/)
  await t.rejects(helmTemplate(t, { storage: { type: 'S3' } }), /storage/)
  await t.rejects(helmTemplate(t, { nginx: { autoscaling: { minReplicas: 'two' } } }), /minReplicas/)
})

/** Every option that the tests above leave at its default. */
const EVERYTHING = {
  publicHost: 'images.example.org:8443',
  image: {
    repository: 'mirror.example.org:5000/rm',
    digest: `sha256:${'a'.repeat(64)}`,
    pullPolicy: 'Always',
  },
  imagePullSecrets: [{ name: 'pull' }],
  secrets: { main: 'a', signingKeys: 'b', tls: 'c', s3: 'd' },
  trustedProxies: '10.1.0.0/16',
  storage: { s3: { bucket: 'images', endpoint: 'https://minio:9000', forcePathStyle: false, port: 9000 } },
  postgres: { enabled: true, port: 6432, storage: { storageClassName: 'fast' } },
  authService: {
    autoscaling: { minReplicas: 3, maxReplicas: 4, cpuUtilization: 50 },
    extraEnv: [{ name: 'LOG_LEVEL', value: 'warn' }],
    resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '1Gi' } },
  },
  nginx: { service: { type: 'NodePort', annotations: { a: 'b' } } },
  certManager: { issuerRef: { kind: 'Issuer', name: 'company' } },
  ingress: { enabled: true },
  httpRoute: { enabled: true, parentRefs: [{ name: 'mine' }], gatewayNamespace: 'envoy' },
  directory: { enabled: true },
  tokenIssuers: { enabled: true },
  monitoring: { enabled: true, namespace: 'prometheus', labels: { release: 'stack' } },
  backup: {
    enabled: true,
    schedule: '0 4 * * *',
    keep: '3',
    storage: { size: '1Gi', storageClassName: 'slow' },
  },
  priorityClassName: 'important',
  nodeSelector: { disk: 'ssd' },
  tolerations: [{ key: 'a', operator: 'Exists' }],
  affinity: { nodeAffinity: {} },
  serviceAccountAnnotations: { registry: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/r' } },
}

t.test('every value of the chart changes the objects that it configures', { skip: noHelm }, async (t) => {
  const manifests = await helmTemplate(t, EVERYTHING)
  t.same(await faultsOf(manifests, '1.36'), [], 'the objects are valid')
  everyPodHasTheOptions(t, manifests)
  const get = (kind: string, name: string) =>
    ofKind(manifests, kind).find(({ metadata }) => metadata.name === name) as Manifest
  t.match(get('ConfigMap', 'registry-manager'), { data: { PUBLIC_HOST: 'images.example.org:8443' } })
  t.match(get('Certificate', 'tls').spec, {
    dnsNames: ['images.example.org'],
    secretName: 'c',
    issuerRef: { kind: 'Issuer', name: 'company' },
  })
  t.match(get('HTTPRoute', 'registry-manager').spec, {
    hostnames: ['images.example.org'],
    parentRefs: [{ name: 'mine' }],
  })
  const fromGateway = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'envoy' } } }
  t.match(get('NetworkPolicy', 'gateway').spec.ingress, [{ from: [fromGateway] }])
  t.same(get('NetworkPolicy', 'registry-s3').spec.egress, [{ ports: [{ port: 9000 }] }])
  for (const name of ['auth-service', 'image-manager', 'migrate', 'backup'])
    t.match(get('NetworkPolicy', name).spec.egress.at(-1), { ports: [{ port: 6432 }] }, name)
  t.match(get('HorizontalPodAutoscaler', 'auth-service').spec, { minReplicas: 3, maxReplicas: 4 })
  t.match(get('Service', 'nginx'), { metadata: { annotations: { a: 'b' } }, spec: { type: 'NodePort' } })
  t.match(get('PodMonitor', 'registry-manager').metadata.labels, { release: 'stack' })
  t.match(get('PersistentVolumeClaim', 'backups'), {
    metadata: { annotations: { 'helm.sh/resource-policy': 'keep' } },
    spec: { storageClassName: 'slow' },
  })
  t.match(get('CronJob', 'backup').spec.schedule, '0 4 * * *')
  t.match(get('ServiceAccount', 'registry').metadata, {
    annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/r' },
  })
  for (const deployment of ['registry', 'storage-worker']) {
    const { env } = get('Deployment', deployment).spec.template.spec.containers[0]
    for (const [name = '', value] of [
      ['BUCKET', 'images'],
      ['REGIONENDPOINT', 'https://minio:9000'],
      ['FORCEPATHSTYLE', 'false'],
    ])
      t.has(
        env.find((entry: { name: string }) => entry.name.endsWith(`S3_${name}`)),
        { value },
        `${deployment}: ${name}`,
      )
  }
  t.match(get('Deployment', 'auth-service').spec.template.spec.containers[0], {
    envFrom: [{ configMapRef: { name: 'directory' } }, { secretRef: { name: 'directory' } }],
    resources: { limits: { memory: '1Gi' } },
  })
})

function everyPodHasTheOptions(t: Test, manifests: readonly Manifest[]): void {
  const workloads = workloadsOf(manifests)
  t.equal(workloads.length, 9)
  for (const workload of workloads) {
    const { priorityClassName, nodeSelector, tolerations, affinity } = EVERYTHING
    t.match(workload.spec, { priorityClassName, nodeSelector, tolerations, affinity }, workload.name)
    const ours = containersOf(workload).filter(({ image }) => image.includes('/rm'))
    for (const { image, imagePullPolicy } of ours)
      t.same([image, imagePullPolicy], [`mirror.example.org:5000/rm@${EVERYTHING.image.digest}`, 'Always'])
  }
  for (const account of ofKind(manifests, 'ServiceAccount'))
    t.has(account, { imagePullSecrets: [{ name: 'pull' }] })
}

t.test(
  'a changed setting replaces the pods that use it, and a new image creates a new migration Job',
  { skip: noHelm },
  async (t) => {
    const before = await helmTemplate(t, {})
    const podsOf = (manifests: readonly Manifest[]) =>
      ofKind(manifests, 'Deployment').map(({ metadata, spec }) => [
        metadata.name,
        JSON.stringify(spec.template),
      ])
    const running = new Map(podsOf(before) as [string, string][])
    const rolled = async (values: object) =>
      podsOf(await helmTemplate(t, values))
        .filter(([name = '', template]) => running.get(name) !== template)
        .map(([name]) => name)
        .toSorted()
    const all = ['auth-service', 'image-manager', 'nginx', 'registry', 'registry-proxy']
    t.same(await rolled({}), [])
    t.same(await rolled({ clientLimits: { CLIENT_CONNECTIONS: '8' } }), ['nginx'])
    t.same(
      await rolled({ publicHost: 'other.example.com' }),
      all.filter((name) => name !== 'nginx'),
    )
    const job = async (values: object) => ofKind(await helmTemplate(t, values), 'Job')[0]?.metadata.name
    const [first, again, next] = [
      await job({}),
      await job({ publicHost: 'a' }),
      await job({ image: { tag: '0.2.0' } }),
    ]
    t.match(first, /^migrate-[0-9a-f]{10}$/)
    t.equal(again, first, 'applying the same version again leaves the Job as it is')
    t.not(next, first)
  },
)
