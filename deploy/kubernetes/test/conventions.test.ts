import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import t from 'tap'
import { containersOf, selects, workloadsOf } from './fixtures/pods.ts'
import type { Manifest } from './fixtures/render.ts'
import { kustomizeIsMissing, ofKind, renderOverlays } from './fixtures/render.ts'

const SERVICES = ['auth-service', 'image-manager', 'registry-proxy']
const GUIDE = new URL('../../../docs/kubernetes.md', import.meta.url)
const TLS_KEYS = ['tls.crt', 'tls.key']

/** The Secrets and keys of theirs that pods use. */
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

t.test('manifests', { skip: await kustomizeIsMissing() }, async (t) => {
  const { overlays } = await renderOverlays(t)
  for (const [name, manifests] of Object.entries(overlays)) {
    await t.test(`${name}: pods are shut in`, async (t) => podsAreShutIn(t, manifests))
    await t.test(`${name}: services outlive a node and a rollout`, async (t) => servicesGoOn(t, manifests))
    await t.test(`${name}: what is referred to is there`, async (t) => referencesHold(t, manifests))
    await t.test(`${name}: who stops is given time`, async (t) => haveTimeToEnd(t, manifests))
  }
  const authService = workloadsOf(overlays['with-directory']).find(({ name }) => name === 'auth-service')
  t.match(authService?.spec.containers, [
    { envFrom: [{ configMapRef: { name: 'directory' } }, { secretRef: {} }] },
  ])

  const [, folder = ''] = /sslrootcert=(\S+)\/database-ca\.pem/.exec(readFileSync(GUIDE, 'utf8')) ?? []
  t.test('an authority for Postgres is where the guide says', async (t) =>
    authorityOfPostgresIsSeen(t, overlays.production, folder),
  )

  t.test('secrets are referred to, and only the quickstart makes them, of files', async (t) => {
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
})

function authorityOfPostgresIsSeen(t: Test, manifests: readonly Manifest[], folder: string) {
  const containers = workloadsOf(manifests).flatMap(containersOf)
  const speaking = containers.filter(({ env }) =>
    env?.some(({ name }: { name: string }) => name === 'DATABASE_URL_FILE'),
  )
  t.equal(speaking.length, 5)
  for (const { name, volumeMounts } of speaking)
    t.match(volumeMounts, [{}, { name: 'database-authority', mountPath: folder }], name)
}

function podsAreShutIn(t: Test, manifests: readonly Manifest[]) {
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
      t.match(resources, { requests: { cpu: String, memory: String }, limits: { memory: String } })
      t.match(image, /^[^:]+:(?!latest$)[^:]+$/, 'an image has a version')
    }
  }
  const [namespace] = ofKind(manifests, 'Namespace')
  t.match(namespace?.metadata.labels, { 'pod-security.kubernetes.io/enforce': 'restricted' })
}

function servicesGoOn(t: Test, manifests: readonly Manifest[]) {
  const many = workloadsOf(manifests).filter(({ name }) => [...SERVICES, 'nginx'].includes(name))
  t.ok(many.length >= SERVICES.length)
  for (const { name, labels, spec, replicas } of many) {
    t.equal(replicas, undefined, 'an apply does not undo what the autoscaler did')
    const scaler = ofKind(manifests, 'HorizontalPodAutoscaler').find(({ metadata }) => metadata.name === name)
    t.match(scaler?.['spec'], { scaleTargetRef: { kind: 'Deployment', name }, minReplicas: 2 }, name)
    const budget = ofKind(manifests, 'PodDisruptionBudget').find(({ metadata }) => metadata.name === name)
    t.equal(budget?.['spec'].maxUnavailable, 1)
    t.ok(selects(budget?.['spec'].selector, labels))
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
    t.ok(spec.terminationGracePeriodSeconds > stopping + 5, 'it gets the time that it takes')
  }
}

/** nginx and the registry wait before they are told, and then let end what is under way. */
function haveTimeToEnd(t: Test, manifests: readonly Manifest[]) {
  const workloads = workloadsOf(manifests).filter(({ name }) => ['nginx', 'registry'].includes(name))
  t.ok(workloads.some(({ name }) => name === 'registry'))
  for (const { name, spec } of workloads) {
    const [{ lifecycle, env }] = spec.containers
    const [command, seconds] = lifecycle.preStop.exec.command
    t.equal(command, 'sleep')
    const drain = env.find((entry: { name: string }) => entry.name === 'REGISTRY_HTTP_DRAINTIMEOUT')?.value
    const ending = name === 'nginx' ? 120 : Number(/^(\d+)s$/.exec(drain)?.[1])
    t.ok(Number(seconds) >= 5 && ending >= 30, name)
    t.ok(spec.terminationGracePeriodSeconds >= Number(seconds) + ending + 5, `${name}: and that in time`)
  }
}

function referencesHold(t: Test, manifests: readonly Manifest[]) {
  const workloads = workloadsOf(manifests)
  const config = new Map(ofKind(manifests, 'ConfigMap').map((map) => [map.metadata.name, map]))
  const claims = new Set(ofKind(manifests, 'PersistentVolumeClaim').map(({ metadata }) => metadata.name))
  for (const workload of workloads) {
    const { name, spec } = workload
    const templates = manifests.find(({ kind, metadata }) => kind === workload.kind && metadata.name === name)
    const claimed = (templates?.['spec'].volumeClaimTemplates ?? []) as Manifest[]
    const volumes = new Set<string>(claimed.map(({ metadata }) => metadata.name))
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
          t.ok(before.has(other), `${other} is known`)
        const reference = valueFrom?.configMapKeyRef
        if (reference) t.ok(config.get(reference.name)?.['data'][reference.key], `${reference.key} is there`)
        before.add(variable)
      }
    }
    t.same([...volumes], [], `${name} mounts its volumes`)
  }
  for (const service of ofKind(manifests, 'Service')) {
    const behind = workloads.filter(({ labels }) =>
      selects({ matchLabels: service['spec'].selector }, labels),
    )
    t.equal(behind.length, 1, `${service.metadata.name} has pods behind it`)
    const ports = behind[0]?.spec.containers[0].ports.map((port: { name: string }) => port.name)
    for (const { targetPort } of service['spec'].ports) t.ok(ports.includes(targetPort))
  }
}

/** A volume may be mounted by several containers. */
function isMountedBefore(volume: string, spec: { volumes?: { name: string }[] }): boolean {
  return (spec.volumes ?? []).some(({ name }) => name === volume)
}
