import t from 'tap'
import { workloadsOf } from './fixtures/pods.ts'
import type { Peer } from './fixtures/reachable.ts'
import { mayReach } from './fixtures/reachable.ts'
import type { Manifest } from './fixtures/render.ts'
import { kustomizeIsMissing, renderOverlays } from './fixtures/render.ts'

const PORTS = [53, 389, 443, 636, 5000, 5432, 8000, 8443, 8500, 9000]

/** Everything that is let through, as `from → to:port`. Asking for names (port 53) is left out: everybody may. */
function everythingAllowed(manifests: readonly Manifest[]): string[] {
  const peers = new Map<string, Peer>([
    ['outside', 'outside'],
    ['monitoring', { namespace: 'monitoring' }],
    ['nginx-ingress', { namespace: 'nginx-ingress' }],
    ['elsewhere', { namespace: 'elsewhere' }],
  ])
  const ours = workloadsOf(manifests).map(({ name, labels }) => [name, { pod: labels }] as const)
  for (const [name, peer] of ours) peers.set(name, peer)
  const found: string[] = []
  const names = new Set(ours.map(([name]) => name))
  for (const [from, source] of peers) {
    for (const [to, target] of peers) {
      if (from === to || (!names.has(from) && !names.has(to))) continue
      const ports = PORTS.filter((port) => port !== 53 && mayReach(manifests, source, target, port))
      found.push(...ports.map((port) => `${from} → ${to}:${port}`))
    }
  }
  return found.toSorted()
}

/** What is to be reached, wherever the way in is. */
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
const OUR_NGINX = [
  ...['outside', 'monitoring', 'nginx-ingress', 'elsewhere'].flatMap((who) => [
    `${who} → nginx:8443`,
    `${who} → nginx:8500`,
  ]),
  'nginx → auth-service:8000',
  'nginx → image-manager:8000',
  'nginx → registry-proxy:8000',
  'nginx → registry:5000',
]
const anywhere = (from: string, port: number) =>
  ['outside', 'monitoring', 'nginx-ingress', 'elsewhere'].map((to) => `${from} → ${to}:${port}`)
const POSTGRES_OUTSIDE = ['auth-service', 'image-manager', 'migrate'].flatMap((from) => anywhere(from, 5432))
const POSTGRES_INSIDE = ['auth-service', 'image-manager', 'migrate'].map((from) => `${from} → postgres:5432`)
const THEIR_NGINX = ['auth-service', 'image-manager', 'registry-proxy'].map(
  (to) => `nginx-ingress → ${to}:8000`,
)

t.test('who reaches whom, and nobody else does', { skip: await kustomizeIsMissing() }, async (t) => {
  const { overlays } = await renderOverlays(t)
  const production = [...INSIDE, ...OUR_NGINX, ...POSTGRES_OUTSIDE, ...anywhere('registry', 443)]
  const expected = {
    quickstart: [...INSIDE, ...OUR_NGINX, ...POSTGRES_OUTSIDE, ...POSTGRES_INSIDE],
    production,
    'ingress-controller': [...INSIDE, ...THEIR_NGINX, ...POSTGRES_OUTSIDE, ...anywhere('registry', 443)],
    'with-directory': [...production, ...[389, 636].flatMap((port) => anywhere('auth-service', port))],
  }
  for (const [name, allowed] of Object.entries(expected)) {
    const manifests = overlays[name as keyof typeof overlays]
    t.same(everythingAllowed(manifests), allowed.toSorted(), name)
    for (const { name: pod, labels } of workloadsOf(manifests)) {
      const asks = mayReach(manifests, { pod: labels }, { namespace: 'kube-system' }, 53)
      t.equal(asks, true, `${name}: ${pod} may ask for names`)
    }
  }
})
