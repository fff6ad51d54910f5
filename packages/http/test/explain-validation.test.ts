import t from 'tap'
import { Type } from 'typebox'
import { RULE } from '../src/explain-validation.ts'
import { createMetrics } from '../src/metrics.ts'
import { createServer } from '../src/server.ts'

const nullable = <Schema extends object>(schema: Schema) => Type.Union([schema, Type.Null()])
const Scope = Type.Object({ name: Type.String() }, { additionalProperties: false })
const CODE_RULE = 'must be 1 to 3 letters'
/** Each kind of shape has fields of its own. */
const Shape = {
  type: 'object',
  discriminator: { propertyName: 'kind' },
  required: ['kind'],
  oneOf: [
    Type.Object({ kind: Type.Literal('circle'), radius: Type.Integer() }),
    Type.Object({ kind: Type.Literal('square'), side: Type.Integer() }),
  ],
}
const Body = Type.Object(
  {
    name: Type.String(),
    count: Type.Optional(Type.Integer()),
    until: Type.Optional(nullable(Type.String({ format: 'date-time' }))),
    status: Type.Optional(Type.Enum(['on', 'off'])),
    scopes: Type.Optional(Type.Array(Scope, { maxItems: 2 })),
    least: Type.Optional(Type.Integer({ minimum: 1 })),
    range: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
    most: Type.Optional(Type.Integer({ maximum: 9 })),
    filled: Type.Optional(Type.String({ minLength: 1 })),
    long: Type.Optional(Type.String({ minLength: 3 })),
    short: Type.Optional(Type.String({ maxLength: 3 })),
    sized: Type.Optional(Type.String({ minLength: 2, maxLength: 3 })),
    one: Type.Optional(Type.Literal('a')),
    two: Type.Optional(Type.Union([Type.Literal('a'), Type.Literal('b')])),
    code: Type.Optional(Type.String({ pattern: '^[a-z]+$', maxLength: 3, [RULE]: CODE_RULE })),
    codes: Type.Optional(
      Type.Union([Type.Array(Type.String({ pattern: '^[a-z]+$', [RULE]: CODE_RULE })), Type.String()], {
        [RULE]: 'must be codes',
      }),
    ),
    shape: Type.Optional(Type.Unsafe<object>(Shape)),
  },
  { additionalProperties: false },
)
const FIELDS = Object.keys(Body.properties).join(', ')

const CASES: readonly (readonly [body: unknown, detail: string, field: string])[] = [
  [{}, 'name is required', 'name'],
  [{ name: 1 }, 'name must be a string', 'name'],
  [{ name: 'a', more: 1 }, `more is not a known field; known fields are ${FIELDS}`, 'more'],
  [{ name: 'a', count: 1.5 }, 'count must be a whole number', 'count'],
  [{ name: 'a', until: 1 }, 'until must be a string or null', 'until'],
  [{ name: 'a', until: 'tomorrow' }, 'until must be a time such as 2027-06-30T00:00:00Z', 'until'],
  [{ name: 'a', status: 'x' }, 'status must be one of on, off', 'status'],
  [{ name: 'a', scopes: {} }, 'scopes must be a list', 'scopes'],
  [{ name: 'a', scopes: ['*'] }, 'scopes.0 must be an object', 'scopes.0'],
  [{ name: 'a', scopes: [{ name: 'b' }, {}] }, 'name is required in scopes.1', 'name'],
  [
    { name: 'a', scopes: [{ name: 'b', x: 1 }] },
    'x is not a known field in scopes.0; known fields are name',
    'x',
  ],
  [
    { name: 'a', scopes: [1, 2, 3].map(() => ({ name: 'b' })) },
    'scopes must have at most 2 entries',
    'scopes',
  ],
  [[], 'the body must be an object', 'body'],
  [{ name: 'a', least: 0 }, 'least must be a whole number of 1 or more', 'least'],
  [{ name: 'a', least: 'x' }, 'least must be a whole number of 1 or more', 'least'],
  [{ name: 'a', range: 0 }, 'range must be a whole number from 1 to 9', 'range'],
  [{ name: 'a', range: 10 }, 'range must be a whole number from 1 to 9', 'range'],
  [{ name: 'a', range: null }, 'range must be a whole number from 1 to 9', 'range'],
  [{ name: 'a', most: 10 }, 'most must be a whole number up to 9', 'most'],
  [{ name: 'a', filled: '' }, 'filled must not be empty', 'filled'],
  [{ name: 'a', long: 'ab' }, 'long must have at least 3 characters', 'long'],
  [{ name: 'a', short: 'abcd' }, 'short must have at most 3 characters', 'short'],
  [{ name: 'a', sized: 'a' }, 'sized must have 2 to 3 characters', 'sized'],
  [{ name: 'a', sized: 'abcd' }, 'sized must have 2 to 3 characters', 'sized'],
  [{ name: 'a', one: 'b' }, 'one must be a', 'one'],
  [{ name: 'a', two: 'c' }, 'two must be one of a, b', 'two'],
  [{ name: 'a', code: 'A' }, 'code must be 1 to 3 letters', 'code'],
  [{ name: 'a', code: 'abcd' }, 'code must be 1 to 3 letters', 'code'],
  [{ name: 'a', code: 1 }, 'code must be 1 to 3 letters', 'code'],
  [{ name: 'a', codes: 1 }, 'codes must be codes', 'codes'],
  [{ name: 'a', codes: ['a', 'B'] }, 'codes.1 must be 1 to 3 letters', 'codes.1'],
  [{ name: 'a', shape: {} }, 'kind is required in shape', 'kind'],
  [{ name: 'a', shape: { kind: 'cube' } }, 'kind must be one of circle, square in shape', 'kind'],
  [{ name: 'a', shape: { kind: 'square', radius: 1 } }, 'side is required in shape', 'side'],
  [
    { name: 'a', shape: { kind: 'circle', radius: 'x' } },
    'shape.radius must be a whole number',
    'shape.radius',
  ],
]

t.test('a validation error names the field and describes valid values', async (t) => {
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
