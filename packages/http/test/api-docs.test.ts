import { gunzipSync } from 'node:zlib'
import type { Test } from 'tap'
import t from 'tap'
import { Type } from 'typebox'
import { BASIC_OR_BEARER, registerApiDocs } from '../src/api-docs.ts'
import { createMetrics } from '../src/metrics.ts'
import { problemResponses } from '../src/error-responses.ts'
import { createServer } from '../src/server.ts'

async function build(t: Test) {
  const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
  t.teardown(() => app.close())
  await registerApiDocs(app, {
    name: 'images',
    title: 'Things & "others"',
    description: 'Things.',
    publicOrigin: 'https://registry.test:8443',
    tags: [{ name: 'things', description: 'All things.' }],
  })
  const schema = {
    operationId: 'getThing',
    summary: 'Get a thing',
    tags: ['things'],
    security: BASIC_OR_BEARER,
    params: Type.Object({ '*': Type.String({ title: 'thing', examples: ['a/b'] }) }),
    querystring: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1 })) }),
    response: {
      200: Type.Object({ name: Type.String() }, { description: 'The thing.' }),
      ...problemResponses(404),
    },
  }
  app.get('/things/*', { schema }, async () => ({ name: 'a' }))
  const config = { swagger: { exposeHeadRoute: true } }
  app.head('/things/*', { config, schema: { ...schema, operationId: 'checkThing' } }, async () => '')
  app.get('/hidden/*', async () => 'no tags')
  return app
}

t.test('the OpenAPI document describes the routes that have tags', async (t) => {
  const app = await build(t)
  const response = await app.inject('/docs/images/json')
  t.match(response.headers, { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' })
  const document = response.json()
  t.match(document, {
    openapi: '3.1.0',
    info: { title: 'Things & "others"', version: /^\d+\.\d+\.\d+/ },
    servers: [{ url: 'https://registry.test:8443' }],
    components: { securitySchemes: { basic: { scheme: 'basic' }, bearer: { scheme: 'bearer' } } },
  })
  t.strictSame(Object.keys(document.paths), ['/things/{thing}'])
  const { get, head } = document.paths['/things/{thing}']
  t.equal(head.operationId, 'checkThing')
  t.match(get, { operationId: 'getThing', security: [{ basic: [] }, { bearer: [] }] })
  t.match(get.parameters, [
    { name: 'limit', in: 'query', schema: { type: 'integer' } },
    { name: 'thing', in: 'path', required: true, example: 'a/b' },
  ])
  t.match(get.responses, {
    200: { description: 'The thing.', content: { 'application/json': {} } },
    404: { content: { 'application/problem+json': { schema: { type: 'object' } } } },
  })
})

t.test('the API page loads nothing from another host and has no inline script', async (t) => {
  const app = await build(t)
  for (const path of ['/docs/images', '/docs/images/']) {
    const { headers, body, statusCode } = await app.inject(path)
    t.equal(statusCode, 200)
    t.match(headers, { 'content-type': 'text/html; charset=utf-8', 'x-content-type-options': 'nosniff' })
    const policy = String(headers['content-security-policy'])
    t.match(policy, "default-src 'none'; script-src 'self';")
    t.notMatch(policy, /https?:|\*|unsafe/)
    t.notMatch(body, /(?:https?:)?\/\/\w/, 'no URL of another host')
    t.match(body, '<title>Things &amp; &quot;others&quot;</title>')
    const scripts = [...body.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)]
    t.equal(scripts.length, 2)
    for (const [, , text] of scripts) t.equal(text, '')
    const files = [...body.matchAll(/ (?:src|href)="(\/[^"]+\.(js|css))"/g)]
    t.equal(files.length, 3)
    for (const [, url = '', kind] of files) {
      const file = await app.inject(url)
      t.match(file.headers, { 'cache-control': /immutable/, 'x-content-type-options': 'nosniff' })
      t.match(file.headers['content-type'], kind === 'js' ? 'text/javascript' : 'text/css')
      t.ok(file.body.length > 100, url)
    }
  }
})

t.test(
  'the page and the document are 304 for a client that has them, and compressed if accepted',
  async (t) => {
    const app = await build(t)
    for (const url of ['/docs/images', '/docs/images/json']) {
      const plain = await app.inject(url)
      const { etag = '' } = plain.headers
      t.equal((await app.inject({ url, headers: { 'if-none-match': String(etag) } })).statusCode, 304)
      t.equal((await app.inject({ url, headers: { 'if-none-match': 'W/"other"' } })).statusCode, 200)
      for (const [accepted, isZipped] of [
        ['gzip', true],
        ['br, gzip;q=0.5', true],
        ['gzip;q=0', false],
        ['identity', false],
      ] as const) {
        const response = await app.inject({ url, headers: { 'accept-encoding': accepted } })
        t.equal(response.headers['content-encoding'], isZipped ? 'gzip' : undefined, accepted)
        const text = isZipped ? gunzipSync(response.rawPayload).toString() : response.body
        t.equal(text, plain.body)
      }
      t.equal((await app.inject({ url, method: 'HEAD' })).statusCode, 200)
    }
  },
)
