import t from 'tap'
import { Type } from 'typebox'
import { createMetrics } from '../src/metrics.ts'
import { createServer } from '../src/server.ts'

const Query = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  deep: Type.Optional(Type.Boolean()),
  name: Type.Optional(Type.String()),
  tag: Type.Optional(Type.Array(Type.String())),
})

const CASES: readonly (readonly [query: string, read: object | string, why: string])[] = [
  ['', {}, 'nothing'],
  ['limit=5', { limit: 5 }, 'a whole number'],
  ['limit=1000&deep=true&name=5', { limit: 1000, deep: true, name: '5' }, 'each by its schema'],
  ['deep=false', { deep: false }, 'a boolean'],
  ['tag=a&tag=b', { tag: ['a', 'b'] }, 'a list'],
  ['other=1&other=2', { other: ['1', '2'] }, 'a name that the schema does not have'],
  ['limit=0', 'limit must be a whole number from 1 to 1000', 'too little'],
  ['limit=-3', 'limit must be a whole number from 1 to 1000', 'a negative number'],
  ['limit=1001', 'limit must be a whole number from 1 to 1000', 'too much'],
  ['limit=', 'limit must be a whole number from 1 to 1000', 'an empty string'],
  ['limit=1e2', 'limit must be a whole number from 1 to 1000', 'an exponent'],
  ['limit=0x10', 'limit must be a whole number from 1 to 1000', 'hexadecimal digits'],
  ['limit=%205', 'limit must be a whole number from 1 to 1000', 'a space'],
  ['limit=1.5', 'limit must be a whole number from 1 to 1000', 'a fraction'],
  [
    'limit=99999999999999999999',
    'limit must be a whole number from 1 to 1000',
    'more than a number can hold',
  ],
  ['deep=1', 'deep must be true or false', 'another word for true'],
  ['limit=1&limit=2', 'limit is given twice', 'a number twice'],
  ['name=a&name=a', 'name is given twice', 'a string twice'],
  ['name=a%00', 'name must not contain NUL', 'NUL'],
]

t.test(
  'the values of a query are converted by the schema of its route before they are validated',
  async (t) => {
    const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
    t.teardown(() => app.close())
    app.get('/', { schema: { querystring: Query } }, async ({ query }) => query)
    for (const [query, read, why] of CASES) {
      const response = await app.inject(`/?${query}`)
      if (typeof read === 'string') {
        t.strictSame([response.statusCode, response.json().detail], [400, read], why)
        t.equal(response.json().field, read.split(' ')[0])
      } else t.strictSame([response.statusCode, response.json()], [200, read], why)
    }
  },
)

t.test('the query of a route without a schema stays as it is', async (t) => {
  const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
  t.teardown(() => app.close())
  app.get('/', async ({ query }) => query)
  t.strictSame((await app.inject('/?limit=5&a=1&a=2')).json(), { limit: '5', a: ['1', '2'] })
})

t.test('the hooks of a route get the converted query', async (t) => {
  const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
  t.teardown(() => app.close())
  const seen: unknown[] = []
  const preValidation = async ({ query }: { query: unknown }) => void seen.push({ ...(query as object) })
  app.get('/', { schema: { querystring: Query }, preValidation }, async () => 'fine')
  await app.inject('/?limit=5')
  t.strictSame(seen, [{ limit: 5 }])
})
