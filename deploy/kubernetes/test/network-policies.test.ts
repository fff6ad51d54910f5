import t from 'tap'
import { workloadsOf } from './fixtures/pods.ts'
import type { Peer } from './fixtures/reachable.ts'
import { mayReach } from './fixtures/reachable.ts'
import type { Manifest } from './fixtures/render.ts'
import { kustomizeIsMissing, renderOverlays } from './fixtures/render.ts'

const PORTS = [53, 5353, 389, 443, 636, 5000, 5432, 8000, 8443, 8500, 9000]

const DNS = new Set([53, 5353])

/** Every allowed connection, as `from → to:port`. Without DNS, which every pod may use. */
function everythingAllowed(manifests: readonly Manifest[]): string[] {
  const peers = new Map<string, Peer>([
    ['outside', 'outside'],
    ['monitoring', { namespace: 'monitoring' }],
    ['nginx-ingress', { namespace: 'nginx-ingress' }],
    ['gateway', { namespace: 'gateway' }],
    ['elsewhere', { namespace: 'elsewhere' }],
  ])
  const ours = workloadsOf(manifests).map(({ name, labels }) => [name, { pod: labels }] as const)
  for (const [name, peer] of ours) peers.set(name, peer)
  const found: string[] = []
  const names = new Set(ours.map(([name]) => name))
  for (const [from, source] of peers) {
    for (const [to, target] of peers) {
      if (from === to || (!names.has(from) && !names.has(to))) continue
      const ports = PORTS.filter((port) => !DNS.has(port) && mayReach(manifests, source, target, port))
      found.push(...ports.map((port) => `${from} → ${to}:${port}`))
    }
  }
  return found.toSorted()
}

const OTHERS = ['outside', 'monitoring', 'nginx-ingress', 'gateway', 'elsewhere']

/** Connections that every overlay allows. */
const INSIDE = [
  'auth-service → image-manager:9000',
  'image-manager → auth-service:9000',
  'image-manager → registry:5000',
  'registry-proxy → auth-service:9000',
  'registry-proxy → image-manager:9000',
  'registry-proxy → registry:5000',
  'monitoring → auth-service:9000',
  'monitoring → image-manager:9000',
  'monitoring → registry-proxy:9000',
]
/** With a volume, the registry's pod has the storage worker. With S3, it has a pod of its own. */
const SIDECAR = ['registry → image-manager:9000', 'monitoring → registry:9000']
const OUR_NGINX = [
  ...OTHERS.flatMap((who) => [`${who} → nginx:8443`, `${who} → nginx:8500`]),
  'nginx → auth-service:8000',
  'nginx → image-manager:8000',
  'nginx → registry-proxy:8000',
  'nginx → registry:5000',
]
const anywhere = (from: string, port: number) => OTHERS.map((to) => `${from} → ${to}:${port}`)
const ON_S3 = [
  'storage-worker → image-manager:9000',
  'monitoring → storage-worker:9000',
  ...['registry', 'storage-worker'].flatMap((from) => anywhere(from, 443)),
]
const POSTGRES_OUTSIDE = ['auth-service', 'image-manager', 'migrate'].flatMap((from) => anywhere(from, 5432))
const POSTGRES_INSIDE = ['auth-service', 'image-manager', 'migrate'].map((from) => `${from} → postgres:5432`)
const servicesFrom = (from: string) =>
  ['auth-service', 'image-manager', 'registry-proxy'].map((to) => `${from} → ${to}:8000`)

t.test(
  'the NetworkPolicies allow the connections that are needed and no others',
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    const production = [...INSIDE, ...OUR_NGINX, ...POSTGRES_OUTSIDE, ...ON_S3]
    const quickstart = [...INSIDE, ...SIDECAR, ...OUR_NGINX, ...POSTGRES_OUTSIDE, ...POSTGRES_INSIDE]
    const routed = [...INSIDE, ...POSTGRES_OUTSIDE, ...ON_S3]
    const expected = {
      quickstart,
      production,
      'ingress-controller': [...routed, ...servicesFrom('nginx-ingress')],
      'gateway-api': [...routed, ...servicesFrom('gateway')],
      // Clients reach S3 themselves.
      'with-redirects': production,
      'with-content-from-registry': production,
      'with-components': [...quickstart, ...anywhere('backup', 5432), 'backup → postgres:5432'],
      'with-token-issuers': [...production, ...anywhere('auth-service', 443)],
      'with-directory': [...production, ...[389, 636].flatMap((port) => anywhere('auth-service', port))],
    }
    for (const [name, allowed] of Object.entries(expected)) {
      const manifests = overlays[name as keyof typeof overlays]
      t.same(everythingAllowed(manifests), allowed.toSorted(), name)
      for (const { name: pod, labels } of workloadsOf(manifests)) {
        for (const port of DNS) {
          const asks = mayReach(manifests, { pod: labels }, { namespace: 'kube-system' }, port)
          t.equal(asks, true, `${name}: ${pod} may ask the DNS at port ${port}`)
        }
      }
    }
  },
)
