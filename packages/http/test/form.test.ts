import Fastify from 'fastify'
import t from 'tap'
import { parseForms, queryOf } from '../src/form.ts'

t.test('the query of a URL keeps repeated names in their order', async (t) => {
  for (const [url, expected] of [
    ['/token', []],
    ['/token?', []],
    [
      '/token?scope=a&x=1&scope=b',
      [
        ['scope', 'a'],
        ['x', '1'],
        ['scope', 'b'],
      ],
    ],
    ['/token?q=a%2Bb+c', [['q', 'a+b c']]],
    ['/token?q=a?b', [['q', 'a?b']]],
  ] as const) {
    t.strictSame([...queryOf(url)], expected, url)
  }
})

t.test('a form body is parsed to its fields, repeated names included', async (t) => {
  const app = Fastify()
  parseForms(app)
  app.post('/', async ({ body }) => [...(body as URLSearchParams)])
  const response = await app.inject({
    method: 'POST',
    url: '/',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'a=1&b=%C3%BC&a=2',
  })
  t.strictSame(response.json(), [
    ['a', '1'],
    ['b', 'ü'],
    ['a', '2'],
  ])
})
