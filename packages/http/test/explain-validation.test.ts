import t from 'tap'
import { Type } from 'typebox'
import { createMetrics } from '../src/metrics.ts'
import { createServer } from '../src/server.ts'

const nullable = <Schema extends object>(schema: Schema) => Type.Union([schema, Type.Null()])
const Scope = Type.Object({ name: Type.String() }, { additionalProperties: false })
const Body = Type.Object(
  {
    name: Type.String(),
    count: Type.Optional(Type.Integer()),
    until: Type.Optional(nullable(Type.String({ format: 'date-time' }))),
    status: Type.Optional(Type.Enum(['on', 'off'])),
    scopes: Type.Optional(Type.Array(Scope, { maxItems: 2 })),
  },
  { additionalProperties: false },
)

const CASES: readonly (readonly [body: unknown, detail: string, field: string])[] = [
  [{}, 'name is required', 'name'],
  [{ name: 1 }, 'name must be a string', 'name'],
  [{ name: 'a', more: 1 }, 'more is not a known field', 'more'],
  [{ name: 'a', count: 1.5 }, 'count must be a whole number', 'count'],
  [{ name: 'a', until: 1 }, 'until must be a string or null', 'until'],
  [{ name: 'a', until: 'tomorrow' }, 'until must be a time such as 2027-06-30T00:00:00Z', 'until'],
  [{ name: 'a', status: 'x' }, 'status must be one of on, off', 'status'],
  [{ name: 'a', scopes: {} }, 'scopes must be a list', 'scopes'],
  [{ name: 'a', scopes: ['*'] }, 'scopes.0 must be an object', 'scopes.0'],
  [{ name: 'a', scopes: [{ name: 'b' }, {}] }, 'name is required in scopes.1', 'name'],
  [{ name: 'a', scopes: [{ name: 'b', x: 1 }] }, 'x is not a known field in scopes.0', 'x'],
  [
    { name: 'a', scopes: [1, 2, 3].map(() => ({ name: 'b' })) },
    'scopes must have at most 2 entries',
    'scopes',
  ],
  [[], 'the body must be an object', 'body'],
]

t.test('a validation error names the field and says what would be right', async (t) => {
  const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
  t.teardown(() => app.close())
  app.post('/', { schema: { body: Body } }, async () => 'fine')
  app.post('/nullable', { schema: { body: nullable(Body) } }, async () => 'fine')
  for (const [body, detail, field] of CASES) {
    const response = await app.inject({ method: 'POST', url: '/', payload: body as object })
    t.match(response.json(), { status: 400, field, title: 'Bad Request' })
    t.equal(response.json().detail, detail)
  }
  const response = await app.inject({ method: 'POST', url: '/nullable', payload: [] })
  t.equal(response.json().detail, 'the body must be an object or null')
})
