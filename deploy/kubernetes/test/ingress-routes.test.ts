import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Manifest } from './fixtures/render.ts'
import { kustomizeIsMissing, ofKind, renderOverlays } from './fixtures/render.ts'

const TEMPLATE = new URL('../../nginx/templates/http-routing.conf.template', import.meta.url)
const skip = await kustomizeIsMissing()

const PATHS = [
  '/',
  '/v2',
  '/v2/',
  '/v2/_catalog',
  '/v2/team/app/blobs/uploads/',
  '/v2x',
  '/v20/',
  '/auth/v2/token',
  '/auth/v2/token/',
  '/.well-known/jwks.json',
  '/user',
  '/users',
  '/user/password',
  '/audit',
  '/audit/',
  '/sign-in',
  '/sign-in/session',
  '/sign-out',
  '/oidc/corp/callback',
  '/oidc/corp/backchannel-logout',
  '/image-manager',
  '/image-manager/',
  '/image-manager/api/v1',
  '/image-manager/api/v1/repositories',
  '/image-manager/api/v1/repositories/team/app',
  '/image-manager/api/v1/auth/token',
  '/image-manager/api/v1/auth/token/',
  '/image-managers',
  '/containerregistries/registries',
  '/docs/auth',
  '/docs/auth/json',
  '/docs/images',
  '/docs/images/',
  '/docs/images/json',
  '/docs/imagesx',
  '/docs/registry',
  '/docs/registry/',
  '/docs/registry/json',
  '/docs/registryx',
  '/namespaces',
  '/namespaces/team/grants',
  '/namespaces/team/immutability',
  '/namespaces/team/immutability/',
  '/namespaces/team/quota',
  '/namespaces/team/usage',
  '/namespaces/team/retention',
  '/namespaces/team/retention/dry-run',
  '/namespaces/team/retention/runs/',
  '/namespaces/team/retention/x',
  '/namespaces/team/trash',
  '/namespaces/team/trash/',
  '/namespaces/team/trash/0',
  '/namespaces/team/trash/0/restore',
  '/namespaces/team/trashx',
  '/namespaces/team/trash/0/restorex',
  '/namespaces/team/immutabilityx',
  '/namespaces/team%2Fapp/immutability',
  '/storage',
  '/storage/collection',
  '/storage/collection/unknown',
  '/storagex',
  '/nowhere',
]

/** The service that our nginx routes a path to, by the table in http-routing.conf.template. */
function nginxRoute(template: string, path: string): string | undefined {
  const table = /map \$path \$service \{(.*?)\}\n/s.exec(template)?.[1] ?? ''
  for (const [, pattern = '', service] of table.matchAll(/^\s*(\S+) (\S+);$/gm)) {
    if (pattern === 'default' || new RegExp(pattern.replace(/^~/, '')).test(path)) return service
  }
  return undefined
}

interface Rule {
  readonly path: string
  /** `ImplementationSpecific`: a regular expression, by the annotation `nginx.org/path-regex`. */
  readonly pathType: 'Exact' | 'Prefix' | 'ImplementationSpecific'
  readonly backend: { readonly service: { readonly name: string } }
}

/** Kubernetes compares prefixes by path elements ("Ingress"), the controller's nginx by characters (`location`). */
const PREFIXES: Readonly<Record<string, (own: string, path: string) => boolean>> = {
  'by Kubernetes': (own, path) => `${path}/`.startsWith(own.replace(/\/?$/, '/')),
  'by the controller': (own, path) => path.startsWith(own),
}

/** The service that Ingress rules route a path to: an exact match wins, then a regular expression, then the longest. */
function ingressRoute(
  ingresses: readonly Manifest[],
  path: string,
  isPrefix: (own: string, path: string) => boolean,
): string | undefined {
  const rules: Rule[] = ingresses.flatMap(({ spec }) => spec.rules).flatMap(({ http }) => http?.paths ?? [])
  const matches = rules.filter(({ path: own, pathType }) => {
    if (pathType === 'ImplementationSpecific') return new RegExp(`^${own}`).test(path)
    return pathType === 'Exact' ? path === own : isPrefix(own, path)
  })
  const FIRST = { Exact: 20_000, ImplementationSpecific: 10_000, Prefix: 0 }
  const rank = ({ path: own, pathType }: Rule) => FIRST[pathType] + own.length
  return matches.toSorted((one, other) => rank(other) - rank(one))[0]?.backend.service.name
}

interface RouteRule {
  readonly matches: readonly {
    readonly path: { readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression'; readonly value: string }
  }[]
  readonly backendRefs: readonly [{ readonly name: string }]
}

/**
 * The same for an HTTPRoute: "Exact" before the longest "PathPrefix", by path elements (Gateway API, HTTPRouteRule). The
 * known implementations compare a "RegularExpression" with the whole path, before prefixes.
 */
function gatewayRoute(rules: readonly RouteRule[], path: string): string | undefined {
  const flat = rules.flatMap(({ matches, backendRefs: [{ name }] }) =>
    matches.map(({ path: { type, value } }) => ({ type, value, name })),
  )
  const matching = flat.filter(({ type, value }) => {
    if (type === 'RegularExpression') return new RegExp(`^${value}$`).test(path)
    return type === 'Exact' ? path === value : PREFIXES['by Kubernetes']!(value, path)
  })
  const FIRST = { Exact: 20_000, RegularExpression: 10_000, PathPrefix: 0 }
  const rank = ({ type, value }: (typeof flat)[number]) => FIRST[type] + value.length
  return matching.toSorted((one, other) => rank(other) - rank(one))[0]?.name
}

t.test('the HTTPRoute routes every path to the service that our nginx does', { skip }, async (t) => {
  const { overlays } = await renderOverlays(t)
  const template = readFileSync(TEMPLATE, 'utf8')
  const [route] = ofKind(overlays['gateway-api'], 'HTTPRoute')
  t.same(
    ofKind(overlays['gateway-api'], 'Deployment').filter(({ metadata }) => metadata.name === 'nginx'),
    [],
  )
  for (const path of PATHS)
    t.equal(gatewayRoute(route?.['spec'].rules, path), nginxRoute(template, path), path)
  t.match(route?.['spec'].rules, [{ timeouts: { request: '0s' } }], 'a layer may take any time')
})

t.test('Ingress objects route every path to the service that our nginx does', { skip }, async (t) => {
  const { overlays } = await renderOverlays(t)
  const template = readFileSync(TEMPLATE, 'utf8')
  const ingresses = ofKind(overlays['ingress-controller'], 'Ingress')
  t.ok(ingresses.length > 0)
  t.same(
    ofKind(overlays['ingress-controller'], 'Deployment').filter(({ metadata }) => metadata.name === 'nginx'),
    [],
  )
  const seen = new Set<string | undefined>()
  for (const path of PATHS) {
    seen.add(nginxRoute(template, path))
    for (const [whose, isPrefix] of Object.entries(PREFIXES))
      t.equal(ingressRoute(ingresses, path, isPrefix), nginxRoute(template, path), `${path} ${whose}`)
  }
  t.same(seen, new Set(['registry-proxy', 'auth-service', 'image-manager']))
  for (const { metadata, spec } of ingresses) {
    t.equal(spec.ingressClassName, 'nginx')
    const annotations = Object.keys((metadata as { annotations?: object }).annotations ?? {})
    t.ok(
      annotations.every((name) => name.startsWith('nginx.org/')),
      "no other controller's annotations",
    )
  }
})

t.test('no client chooses the request id of the audit log', { skip }, async (t) => {
  const { overlays } = await renderOverlays(t)
  const [route] = ofKind(overlays['gateway-api'], 'HTTPRoute')
  for (const { filters } of route?.['spec'].rules ?? [])
    t.match(filters, [{ type: 'RequestHeaderModifier', requestHeaderModifier: { remove: ['X-Request-Id'] } }])
  const ingresses = ofKind(overlays['ingress-controller'], 'Ingress')
  const minions = ingresses.filter(({ spec }) => spec.rules[0].http !== undefined)
  t.ok(minions.length > 1)
  for (const { metadata } of minions) {
    const { annotations } = metadata as { annotations?: Record<string, string> }
    t.match(
      annotations?.['nginx.org/location-snippets'],
      /^proxy_set_header X-Request-Id \$request_id;$/m,
      metadata.name,
    )
  }
})
