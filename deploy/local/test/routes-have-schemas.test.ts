import t from 'tap'
import type { ServiceRoute } from './fixtures/service-routes.ts'
import { buildServices } from './fixtures/service-routes.ts'

const { routes } = await buildServices(t)

/** Routes without schemas, and why. Those of Fastify are hidden from the OpenAPI document. */
const WITHOUT_SCHEMA: readonly (readonly [route: RegExp, reason: string])[] = [
  [/^registry-proxy public \w+ \/v2(\/\*?)?$/, 'one wildcard: api-docs/operations.ts describes its requests'],
  [/^hidden \S+ public (GET|HEAD) \/docs\//, 'a page, one of its files, or the OpenAPI document itself'],
  [/^hidden auth-service public \w+ \/sign-(in|out)(\/style\.css)?$/, 'a page for browsers, or a form on it'],
  [/^hidden auth-service public \w+ \/device$/, 'a page for browsers, or a form on it'],
  [/^hidden auth-service public \w+ \/sign-in\/personal-tokens/, 'a form on a page for browsers'],
  [/^hidden auth-service public GET \/oidc\//, 'a redirect to a provider, or from it'],
  [/^hidden auth-service public \w+ \/containerregistries\//, 'refused with 405 or 501: not-offered.ts'],
]
/** Routes that take a body without a schema for it, and why. */
const WITHOUT_BODY_SCHEMA: readonly (readonly [route: RegExp, reason: string])[] = [
  [/^image-manager internal POST \/internal\/admissions$/, 'the body is the bytes of a manifest'],
  [/^image-manager internal POST \/internal\/admissions\/:id\/record$/, 'it has no body'],
  [/^image-manager public POST \/namespaces\/:namespace\/usage$/, 'it has no body'],
  [/^image-manager public POST \/namespaces\/:namespace\/trash\/:id\/restore$/, 'it has no body'],
  [/^auth-service public PUT \/groups\/:group\/members\/:username$/, 'it has no body'],
]

const nameOf = ({ service, port, method, url, schema }: ServiceRoute) => {
  const isHidden = (schema as { hide?: boolean } | undefined)?.hide === true
  return `${isHidden ? 'hidden ' : ''}${service} ${port} ${method} ${url}`
}
const isExcepted = (exceptions: typeof WITHOUT_SCHEMA, route: ServiceRoute) =>
  exceptions.some(([pattern]) => pattern.test(nameOf(route)))

/** The parts that a route's schema lacks. */
function faultsOf(route: ServiceRoute): string[] {
  const { method, url, port, schema = {} } = route
  const params = Object.keys((schema.params as { properties?: object } | undefined)?.properties ?? {})
  const named = [...url.matchAll(/:(\w+)|(\*)$/g)].map(([, name, wildcard]) => name ?? wildcard ?? '')
  const takesBody = ['POST', 'PUT', 'PATCH'].includes(method) && !isExcepted(WITHOUT_BODY_SCHEMA, route)
  return [
    ...(Object.keys(schema.response ?? {}).length > 0 ? [] : ['no response']),
    ...named.filter((name) => !params.includes(name)).map((name) => `no parameter ${name}`),
    ...(takesBody && schema.body === undefined ? ['no body'] : []),
    ...(port === 'public' ? undocumented(schema as Record<string, unknown>) : []),
  ]
}

/** The parts that the OpenAPI document needs and a schema lacks. */
function undocumented(schema: Record<string, unknown>): string[] {
  const needed = ['operationId', 'summary', 'tags', 'security']
  return needed.filter((key) => schema[key] === undefined).map((key) => `no ${key}`)
}

t.test('every route of every service has schemas', async (t) => {
  const judged = routes.filter((route) => !isExcepted(WITHOUT_SCHEMA, route))
  const faulty = judged.map((route) => [nameOf(route), faultsOf(route)] as const)
  t.strictSame(
    faulty.filter(([, faults]) => faults.length > 0),
    [],
  )
  for (const service of ['auth-service', 'image-manager', 'registry-proxy'] as const) {
    for (const port of ['public', 'internal'] as const) {
      const own = routes.filter((route) => route.service === service && route.port === port)
      t.ok(own.length >= 3, `${service} has ${own.length} ${port} routes`)
    }
  }
})

t.test('every exception from the rule for schemas is an existing route', async (t) => {
  for (const [pattern] of [...WITHOUT_SCHEMA, ...WITHOUT_BODY_SCHEMA]) {
    t.ok(
      routes.some((route) => pattern.test(nameOf(route))),
      String(pattern),
    )
  }
})

t.test('no two operations of a service have the same operationId', async (t) => {
  for (const service of ['auth-service', 'image-manager'] as const) {
    const ids = routes
      .filter((route) => route.service === service && route.port === 'public' && route.method !== 'HEAD')
      .flatMap(({ schema }) => (schema as { operationId?: string } | undefined)?.operationId ?? [])
    t.strictSame(
      ids.filter((id, at) => ids.indexOf(id) !== at),
      [],
      service,
    )
  }
})
