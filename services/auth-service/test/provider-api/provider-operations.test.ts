import { readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startAuthService } from '../fixtures/auth-service.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const SDK = dirname(
  createRequire(join(ROOT, 'package.json')).resolve('@ionos-cloud/sdk-nodejs-container-registry'),
)
type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Every operation of the provider's public SDK, as `METHOD /path/{parameter}`. */
const OPERATIONS = readdirSync(join(SDK, 'api'))
  .filter((file) => file.endsWith('.js'))
  .flatMap((file) => [
    ...readFileSync(join(SDK, 'api', file), 'utf8').matchAll(
      /localVarPath = "([^"]+)"[^]*?\{ method: '([A-Z]+)' \}/g,
    ),
  ])
  .map(([, path, method]) => `${method} ${path}`)

/** The operations that are not offered, with their status. All others are served. */
const NOT_OFFERED: Readonly<Record<string, number>> = {
  'GET /locations': 501,
  'GET /vulnerabilities/{vulnerabilityId}': 501,
  'GET /registries/{registryId}/repositories/{repositoryName}/artifacts/{digest}/vulnerabilities': 501,
  'POST /registries': 405,
  'PUT /registries/{registryId}': 405,
  'PATCH /registries/{registryId}': 405,
  'DELETE /registries/{registryId}': 405,
  'DELETE /registries/{registryId}/repositories/{repositoryName}': 405,
}

// No image-manager listens: requests that need it get 503.
const { ask } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const digest = `sha256:${'a'.repeat(64)}`
const base = '/containerregistries'
const call = (method: Method, path: string, json?: unknown) =>
  ask({ method, url: base + path, as: 'root', ...(json !== undefined && { json }) })

t.test('the provider’s SDK has the operations that this test reads from it', async (t) => {
  t.equal(OPERATIONS.length, 22)
  for (const operation of Object.keys(NOT_OFFERED)) t.ok(OPERATIONS.includes(operation), operation)
})

t.test("an operation of the provider's SDK that is not offered is 405 or 501, never 404", async (t) => {
  for (const operation of OPERATIONS) {
    const { id } = await api.make({ name: `for-${OPERATIONS.indexOf(operation)}` })
    const [method, template = ''] = operation.split(' ') as [Method, string]
    const path = template
      .replace('{registryId}', api.registry)
      .replace('{tokenId}', id)
      .replace('{repositoryName}', 'team%2Fapp')
      .replace('{digest}', encodeURIComponent(digest))
      .replace('{vulnerabilityId}', 'CVE-2026-1')
      .replace('{name}', 'registry-manager')
    const body = ['POST', 'PUT', 'PATCH'].includes(method)
      ? { properties: { name: `made-${id.slice(0, 8)}` } }
      : undefined
    const response = await call(
      method,
      path,
      method === 'PATCH' && path.includes(id) ? { status: 'disabled' } : body,
    )
    const refused = NOT_OFFERED[operation]
    if (refused === undefined) {
      t.ok([200, 201, 204, 400, 503].includes(response.statusCode), `${operation}: ${response.statusCode}`)
      continue
    }
    t.equal(response.statusCode, refused, operation)
    t.match(response.json(), { httpStatus: refused, messages: [{ errorCode: '0', message: /not support/ }] })
    if (refused === 405) t.match(response.headers['allow'], /^[A-Z]+(, [A-Z]+)*$/)
  }
})

t.test('an unsupported method of a path is 405 with the supported ones in Allow', async (t) => {
  for (const [method, path, allow] of [
    ['PUT', `/registries/${api.registry}/tokens`, 'GET, POST'],
    ['POST', `/registries/${api.registry}/tokens/x`, 'GET, PUT, PATCH, DELETE'],
    ['POST', `/registries/${api.registry}/repositories`, 'GET'],
    ['DELETE', `/registries/${api.registry}/repositories/team%2Fapp/artifacts/${digest}`, 'GET'],
    ['GET', '/names/other', 'HEAD'],
  ] as const) {
    const response = await call(method, path)
    t.match(response, { statusCode: 405, headers: { allow } }, `${method} ${path}`)
  }
  const malformed = await ask({
    method: 'POST',
    url: `${base}/registries`,
    as: 'root',
    payload: '{',
    headers: { 'content-type': 'application/json' },
  })
  t.equal(malformed.statusCode, 405, 'a malformed body changes nothing')
  t.equal((await ask({ method: 'DELETE', url: `${base}/registries`, as: 'alice' })).statusCode, 403)
  t.equal((await ask({ method: 'DELETE', url: `${base}/registries` })).statusCode, 401)
})

t.test("a name check reports this registry's name as taken and others as available", async (t) => {
  t.equal((await call('HEAD', '/names/registry-manager')).statusCode, 200)
  t.equal((await call('HEAD', '/names/Registry-Manager')).statusCode, 200)
  t.equal((await call('HEAD', '/names/another')).statusCode, 404)
})

t.test(
  'an unsupported filter is refused with 400 and its name; other unknown parameters are ignored',
  async (t) => {
    const { id } = await api.make({ name: 'filtered' })
    const registry = `/registries/${api.registry}`
    for (const [path, filter] of [
      ['/registries', 'filter.location'],
      [registry, 'filter.name'],
      [`${registry}/tokens`, 'filter.name'],
      [`${registry}/tokens/${id}`, 'filter.expiresWithin'],
      [`${registry}/artifacts`, 'filter.vulnerabilityId'],
      [`${registry}/repositories`, 'filter.vulnerabilitySeverity'],
      [`${registry}/repositories`, 'filter.Name'],
      [`${registry}/repositories/team%2Fapp/artifacts`, 'filter.name'],
      [`${registry}/repositories`, 'filter.'],
    ] as const) {
      const response = await call('GET', `${path}?limit=1&${filter}=x`)
      t.equal(response.statusCode, 400, `${path} ${filter}`)
      t.match(response.json().messages[0].message, `${filter} is not supported`)
    }
    t.equal(
      (await call('GET', `${registry}/tokens?filter.expiresWithin=60&maxResults=3&x=y`)).statusCode,
      200,
    )
    t.equal((await call('GET', '/registries?filter.name=manager&pagination.token=x')).statusCode, 200)
  },
)

t.test('the router accepts a percent-encoded name with the most components', async (t) => {
  const name = encodeURIComponent(Array.from({ length: 128 }, () => 'a').join('/'))
  const response = await call('GET', `/registries/${api.registry}/repositories/${name}`)
  t.equal(response.statusCode, 503, 'the route was found: image-manager is unavailable')
})
