import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import t from 'tap'
import { containersOf, selects, workloadsOf } from './fixtures/pods.ts'
import type { Manifest } from './fixtures/render.ts'
import { kustomizeIsMissing, ofKind, renderOverlays } from './fixtures/render.ts'

const SERVICES = ['auth-service', 'image-manager', 'registry-proxy']
const GUIDE = new URL('../../../docs/kubernetes.md', import.meta.url)
/** Our image by any name and version; others by their full name and patch version: CRI-O refuses short names. */
const IMAGE =
  /^(?:(?:images\.example\.com\/)?registry-manager:(?!latest$)[^:]+|docker\.io\/library\/[a-z]+:\d+\.\d+(?:\.\d+)?(?:-alpine)?)$/
/** A name with the hash that kustomize appends. */
const HASHED = /^[a-z-]+-[2456789bcdfghkmt]{10}$/
const TLS_KEYS = ['tls.crt', 'tls.key']

/** The Secrets that pods use, and the keys that they use. */
function secretsUsedBy(manifests: readonly Manifest[]): Map<string, Set<string>> {
  const used = new Map<string, Set<string>>()
  const use = (name: string, keys: readonly string[]) =>
    used.set(name, new Set([...(used.get(name) ?? []), ...keys]))
  for (const workload of workloadsOf(manifests)) {
    for (const { secret } of workload.spec.volumes ?? []) {
      if (secret && !secret.optional)
        use(
          secret.secretName,
          (secret.items ?? []).map(({ key }: { key: string }) => key),
        )
    }
    for (const { valueFrom } of containersOf(workload).flatMap(({ env = [] }) => env)) {
      if (valueFrom?.secretKeyRef) use(valueFrom.secretKeyRef.name, [valueFrom.secretKeyRef.key])
    }
  }
  return used
}

t.test(
  'the overlays follow the conventions of the manifests',
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    for (const [name, manifests] of Object.entries(overlays)) {
      await t.test(`${name}: pods have no rights that they do not need`, async (t) =>
        podsAreConfined(t, manifests),
      )
      await t.test(`${name}: services survive the loss of a node and a rollout`, async (t) =>
        servicesStayAvailable(t, manifests),
      )
      await t.test(`${name}: every reference names an object of the overlay`, async (t) =>
        referencesResolve(t, manifests),
      )
      await t.test(`${name}: pods have enough time to stop`, async (t) => haveTimeToStop(t, manifests))
      await t.test(`${name}: replicas are spread within their revision`, async (t) =>
        spreadByRevision(t, manifests),
      )
      await t.test(`${name}: probes begin late enough to cause no warning events`, async (t) =>
        probesWait(t, manifests),
      )
    }
    const authService = workloadsOf(overlays['with-directory']).find(({ name }) => name === 'auth-service')
    t.match(authService?.spec.containers, [
      { envFrom: [{ configMapRef: { name: 'directory' } }, { secretRef: {} }] },
    ])
    for (const account of ofKind(overlays['with-components'], 'ServiceAccount'))
      t.same(
        account['imagePullSecrets'],
        [{ name: 'image-pull' }],
        `${account.metadata.name} has the pull secret`,
      )

    const [, folder = ''] = /sslrootcert=(\S+)\/database-ca\.pem/.exec(readFileSync(GUIDE, 'utf8')) ?? []
    t.test("the CA of a private Postgres is mounted where the guide's sslrootcert names it", async (t) =>
      authorityOfPostgresIsSeen(t, overlays.production, folder),
    )

    t.test('only the quickstart creates Secrets, from files, with the keys that its pods use', async (t) => {
      t.same(ofKind(overlays.production, 'Secret'), [])
      t.same(ofKind(overlays['ingress-controller'], 'Secret'), [])
      const made = new Map(
        ofKind(overlays.quickstart, 'Secret').map((secret) => [secret.metadata.name, secret]),
      )
      for (const [secret, keys] of secretsUsedBy(overlays.quickstart)) {
        const there = Object.keys(made.get(secret)?.['data'] ?? {})
        for (const key of keys) t.ok(there.includes(key), `${secret} has ${key}`)
      }
      t.same(Object.keys(made.get('tls')?.['data']), TLS_KEYS)
    })

    t.test(
      'a changed ConfigMap has a new name in every overlay, so that its pods are replaced',
      async (t) => {
        for (const [name, manifests] of Object.entries(overlays)) {
          const names = ofKind(manifests, 'ConfigMap').map(({ metadata }) => metadata.name)
          t.equal(names.length, 4)
          for (const map of names) t.match(map, HASHED, `${name}: ${map}`)
        }
      },
    )
  },
)

/** Replicas are spread among those of their own ReplicaSet; otherwise a rollout may put all of them on one node. */
function spreadByRevision(t: Test, manifests: readonly Manifest[]) {
  const constraints = workloadsOf(manifests).flatMap(({ spec }) => spec.topologySpreadConstraints ?? [])
  t.ok(constraints.length >= 6, `${constraints.length} constraints`)
  for (const constraint of constraints) t.has(constraint, { matchLabelKeys: ['pod-template-hash'] })
}

/** A startup probe has a delay, and the other probes wait until it has succeeded. */
function probesWait(t: Test, manifests: readonly Manifest[]) {
  const probed = workloadsOf(manifests).flatMap(({ spec }) => spec.containers)
  const serving = probed.filter(({ readinessProbe }) => readinessProbe !== undefined)
  t.ok(serving.length >= 4)
  for (const { name, startupProbe } of serving) t.ok(startupProbe.initialDelaySeconds >= 2, name)
}

function authorityOfPostgresIsSeen(t: Test, manifests: readonly Manifest[], folder: string) {
  const containers = workloadsOf(manifests).flatMap(containersOf)
  const speaking = containers.filter(({ env }) =>
    env?.some(({ name }: { name: string }) => name === 'DATABASE_URL_FILE'),
  )
  t.equal(speaking.length, 5)
  for (const { name, volumeMounts } of speaking)
    t.match(volumeMounts, [{}, { name: 'database-authority', mountPath: folder }], name)
}

function podsAreConfined(t: Test, manifests: readonly Manifest[]) {
  const accounts = ofKind(manifests, 'ServiceAccount')
  for (const account of accounts) t.equal(account['automountServiceAccountToken'], false)
  for (const workload of workloadsOf(manifests)) {
    const { name, spec } = workload
    t.match(spec, { automountServiceAccountToken: false, serviceAccountName: name }, name)
    t.ok(accounts.some(({ metadata }) => metadata.name === name))
    t.match(spec.securityContext, {
      runAsNonRoot: true,
      runAsUser: Number,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    for (const { securityContext, resources, image } of containersOf(workload)) {
      t.same(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      const requests = { cpu: String, memory: String, 'ephemeral-storage': String }
      t.match(resources, { requests, limits: { memory: String } })
      t.match(image, IMAGE, 'an image has a registry, unless it is ours, and an exact version')
    }
  }
  const [namespace] = ofKind(manifests, 'Namespace')
  t.match(namespace?.metadata.labels, { 'pod-security.kubernetes.io/enforce': 'restricted' })
}

function servicesStayAvailable(t: Test, manifests: readonly Manifest[]) {
  const many = workloadsOf(manifests).filter(({ name }) => [...SERVICES, 'nginx'].includes(name))
  t.ok(many.length >= SERVICES.length)
  for (const { name, labels, spec, replicas } of many) {
    t.equal(replicas, undefined, 'an apply does not reset the replicas that the autoscaler set')
    const scaler = ofKind(manifests, 'HorizontalPodAutoscaler').find(({ metadata }) => metadata.name === name)
    t.match(scaler?.['spec'], { scaleTargetRef: { kind: 'Deployment', name }, minReplicas: 2 }, name)
    const budget = ofKind(manifests, 'PodDisruptionBudget').find(({ metadata }) => metadata.name === name)
    // Pods that must run together on one node have none: see content.test.ts.
    if (spec.affinity === undefined) {
      t.equal(budget?.['spec'].maxUnavailable, 1)
      t.ok(selects(budget?.['spec'].selector, labels))
    }
    for (const { labelSelector } of spec.topologySpreadConstraints) t.ok(selects(labelSelector, labels))
  }
  for (const { spec } of many.filter(({ name }) => SERVICES.includes(name))) {
    const [container] = spec.containers
    t.match(container, {
      startupProbe: { httpGet: { path: '/livez', port: 'internal' } },
      livenessProbe: { httpGet: { path: '/livez', port: 'internal' } },
      readinessProbe: { httpGet: { path: '/readyz', port: 'internal' } },
    })
    const seconds = (variable: string) =>
      Number(container.env.find((entry: { name: string }) => entry.name === variable).value)
    const stopping = seconds('SHUTDOWN_DELAY_SECONDS') + seconds('SHUTDOWN_GRACE_SECONDS')
    t.ok(
      spec.terminationGracePeriodSeconds >= stopping + lingering(spec) + 5,
      `${stopping} s and the sidecar`,
    )
  }
}

/**
 * A preStop delay (nginx, registry) or SHUTDOWN_DELAY, then draining, then the sidecar that waits for the last bytes.
 */
function haveTimeToStop(t: Test, manifests: readonly Manifest[]) {
  const workloads = workloadsOf(manifests).filter(({ name }) => ['nginx', 'registry'].includes(name))
  t.ok(workloads.some(({ name }) => name === 'registry'))
  for (const { name, spec } of workloads) {
    const [{ lifecycle, env }] = spec.containers
    const [command, seconds] = lifecycle.preStop.exec.command
    t.equal(command, 'sleep')
    const drain = env.find((entry: { name: string }) => entry.name === 'REGISTRY_HTTP_DRAINTIMEOUT')?.value
    const stopping = name === 'nginx' ? 120 : Number(/^(\d+)s$/.exec(drain)?.[1])
    t.ok(Number(seconds) >= 5 && stopping >= 30, name)
    const needed = Number(seconds) + stopping + lingering(spec) + 5
    t.ok(spec.terminationGracePeriodSeconds >= needed, `${name}: ${needed} s are needed`)
  }
  const withSidecar = workloadsOf(manifests).filter(({ spec }) => lingering(spec) > 0)
  t.same(
    withSidecar.map(({ name }) => name).toSorted(),
    ['registry', 'registry-proxy'],
    'pods that transfer layers',
  )
}

/** The seconds that a sidecar keeps a pod after its containers; 0 without one. */
function lingering({
  initContainers = [],
}: {
  initContainers?: { restartPolicy?: string; command?: string[] }[]
}): number {
  const sidecar = initContainers.find(({ restartPolicy }) => restartPolicy === 'Always')
  return Number(/sleep (\d+); exit 0/.exec(sidecar?.command?.at(-1) ?? '')?.[1] ?? 0)
}

function referencesResolve(t: Test, manifests: readonly Manifest[]) {
  const workloads = workloadsOf(manifests)
  const config = new Map(ofKind(manifests, 'ConfigMap').map((map) => [map.metadata.name, map]))
  const claims = new Set(ofKind(manifests, 'PersistentVolumeClaim').map(({ metadata }) => metadata.name))
  for (const workload of workloads) {
    const { name, spec } = workload
    const volumes = new Set<string>(workload.claims.map(({ metadata }) => metadata.name))
    for (const volume of spec.volumes ?? []) {
      volumes.add(volume.name)
      if (volume.configMap) t.ok(config.has(volume.configMap.name), `${name}: ${volume.configMap.name}`)
      const claim = volume.persistentVolumeClaim?.claimName
      if (claim) t.ok(claims.has(claim), `${name}: ${claim}`)
    }
    for (const { volumeMounts = [], env = [], envFrom = [] } of containersOf(workload)) {
      for (const { configMapRef } of envFrom)
        t.ok(!configMapRef || configMapRef.optional || config.has(configMapRef.name), configMapRef?.name)
      for (const { name: volume } of volumeMounts)
        t.ok(volumes.delete(volume) || isMountedBefore(volume, spec))
      const before = new Set<string>()
      for (const { name: variable, value = '', valueFrom } of env) {
        for (const [, other = ''] of value.matchAll(/\$\(([^)]+)\)/g))
          t.ok(before.has(other), `${other} is defined before`)
        const reference = valueFrom?.configMapKeyRef
        if (reference)
          t.ok(config.get(reference.name)?.['data'][reference.key], `the ConfigMap has ${reference.key}`)
        before.add(variable)
      }
    }
    t.same([...volumes], [], `${name} mounts its volumes`)
  }
  for (const service of ofKind(manifests, 'Service')) {
    const behind = workloads.filter(({ labels }) =>
      selects({ matchLabels: service['spec'].selector }, labels),
    )
    t.equal(behind.length, 1, `${service.metadata.name} selects the pods of one workload`)
    const ports = behind[0]?.spec.containers[0].ports.map((port: { name: string }) => port.name)
    for (const { targetPort } of service['spec'].ports) t.ok(ports.includes(targetPort))
  }
}

/** Whether a volume exists: several containers may mount it. */
function isMountedBefore(volume: string, spec: { volumes?: { name: string }[] }): boolean {
  return (spec.volumes ?? []).some(({ name }) => name === volume)
}
