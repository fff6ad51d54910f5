import t from 'tap'
import { Type } from 'typebox'
import type { ProblemFormat } from '../src/error-handler.ts'
import { problemJson, registryErrors, setErrorFormat } from '../src/error-handler.ts'
import { createMetrics } from '../src/metrics.ts'
import { ProblemError, unavailable } from '../src/problem.ts'
import { createServer } from '../src/server.ts'

class Unavailable extends Error {}

const body = Type.Object({ name: Type.String(), age: Type.Integer() }, { additionalProperties: false })
const lines: string[] = []

function build(format: ProblemFormat) {
  const app = createServer({
    name: 'test',
    logLevel: 'info',
    format,
    unavailableDependency: (error) => (error instanceof Unavailable ? 'directory' : undefined),
    metrics: createMetrics('test'),
    logStream: { write: (line) => void lines.push(line) },
  })
  app.get('/problem', async () => {
    throw new ProblemError({
      status: 409,
      detail: 'the name is taken',
      field: 'name',
      headers: { 'x-more': 'yes' },
    })
  })
  app.get('/unavailable', async () => {
    throw unavailable('the directory is flooded', 7)
  })
  app.get('/directory-down', async () => {
    throw new Unavailable('connect to 10.0.0.1')
  })
  app.get('/fault', async () => {
    throw new Error('the inside of the machine')
  })
  app.post('/body', { schema: { body } }, async () => 'good')
  t.teardown(() => app.close())
  return app
}

const json = { 'content-type': 'application/json' }
const REQUESTS = [
  { why: 'a problem', url: '/problem', status: 409, detail: /the name is taken/, field: 'name' },
  {
    why: 'a dependency is unavailable',
    url: '/unavailable',
    status: 503,
    detail: /^the directory is flooded \(request [0-9a-f-]{36}\)$/,
  },
  {
    why: 'an error that means that a dependency is unavailable',
    url: '/directory-down',
    status: 503,
    detail: /^the directory is unavailable \(request [0-9a-f-]{36}\)$/,
  },
  {
    why: 'a bug',
    url: '/fault',
    status: 500,
    detail: /^internal error \(request [0-9a-f-]{36}\); details are in the service log$/,
  },
  {
    why: 'no such route',
    url: '/nowhere?password=x',
    status: 404,
    detail: /^no such endpoint: GET \/nowhere$/,
  },
  { why: 'an escape that is none', url: '/%zz', status: 400, detail: /./ },
  { why: 'a body that is no JSON', payload: '{', headers: json, status: 400, detail: /./ },
  { why: 'an empty body', payload: '', headers: json, status: 400, detail: /./ },
  { why: 'a prototype in the body', payload: '{"__proto__":1}', headers: json, status: 400, detail: /./ },
  {
    why: 'a missing field',
    payload: '{"name":"a"}',
    headers: json,
    status: 400,
    detail: /age/,
    field: 'age',
  },
  {
    why: 'a bad field',
    payload: '{"name":1,"age":1}',
    headers: json,
    status: 400,
    detail: /name/,
    field: 'name',
  },
  {
    why: 'no coercion',
    payload: '{"name":"a","age":"1"}',
    headers: json,
    status: 400,
    detail: /age/,
    field: 'age',
  },
  {
    why: 'an unknown field',
    payload: '{"name":"a","age":1,"x":1}',
    headers: json,
    status: 400,
    detail: /x/,
    field: 'x',
  },
  { why: 'an unknown type', payload: 'a', headers: { 'content-type': 'text/csv' }, status: 415, detail: /./ },
  {
    why: 'a body over the limit',
    payload: `"${'x'.repeat(65536)}"`,
    headers: json,
    status: 413,
    detail: /./,
  },
] as const

t.test('errors of the management APIs are problems of RFC 9457', async (t) => {
  const app = build(problemJson)
  for (const { why, status, detail, ...rest } of REQUESTS) {
    const { field, ...request } = { url: '/body', field: undefined, ...rest }
    const response = await app.inject({ method: 'payload' in request ? 'POST' : 'GET', ...request })
    t.equal(response.statusCode, status, why)
    t.match(response.headers['content-type'], /^application\/problem\+json/, why)
    t.match(response.json(), { type: 'about:blank', title: /\w/, status, detail, field }, why)
  }
})

const CODES: Readonly<Record<number, string>> = { 500: 'UNKNOWN', 503: 'UNAVAILABLE', 413: 'SIZE_INVALID' }

t.test('errors of the registry API have its error format', async (t) => {
  const app = build(registryErrors)
  for (const { why, status, detail, ...rest } of REQUESTS) {
    const { field, ...request } = { url: '/body', field: undefined, ...rest }
    const response = await app.inject({ method: 'payload' in request ? 'POST' : 'GET', ...request })
    t.equal(response.statusCode, status, why)
    t.match(response.headers['content-type'], /^application\/json/, why)
    const error = { code: CODES[status] ?? 'UNSUPPORTED', message: detail, detail: field ? { field } : null }
    t.match(response.json(), { errors: [error] }, why)
    t.equal(response.json().errors.length, 1)
  }
})

t.test('the headers of a problem are sent', async (t) => {
  const app = build(problemJson)
  t.match((await app.inject('/problem')).headers, { 'x-more': 'yes' })
  t.match((await app.inject('/unavailable')).headers, { 'retry-after': '7' })
  t.match((await app.inject('/directory-down')).headers, { 'retry-after': '5' })
})

t.test('an unexpected error is logged, and its message is not sent to the client', async (t) => {
  const app = build(problemJson)
  lines.length = 0
  const response = await app.inject('/fault')
  t.notMatch(response.body, 'inside of the machine')
  t.match(lines.join(''), 'the inside of the machine')
  lines.length = 0
  await app.inject('/problem')
  t.notMatch(lines.join(''), 'request failed', 'a problem is not logged as an error')
})

t.test('a plugin tree can have its own error format', async (t) => {
  const app = build(problemJson)
  await app.register(async (scope) => {
    setErrorFormat(scope, registryErrors)
    scope.get('/own', async () => {
      throw new ProblemError({ status: 403, detail: 'no' })
    })
  })
  t.match((await app.inject('/own')).json(), { errors: [{ code: 'DENIED', message: 'no' }] })
  t.match((await app.inject('/problem')).json(), { status: 409 })
})
