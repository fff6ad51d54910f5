import t from 'tap'
import { Type } from 'typebox'
import { createMetrics } from '../src/metrics.ts'
import { createServer } from '../src/server.ts'
import { shareSerializers } from '../src/shared-serializers.ts'

const Named = Type.Object({ name: Type.String() })

t.test('a schema is compiled once, however many routes and statuses have it', async (t) => {
  const compile = shareSerializers()({}, {})
  const route = { method: 'GET', url: '/', httpStatus: '200' }
  const serialize = compile({ ...route, schema: Named })
  t.equal(serialize({ name: 'a', secret: 'b' }), '{"name":"a"}')
  t.equal(compile({ ...route, url: '/other', httpStatus: '404', schema: Named }), serialize)
  const equal = compile({ ...route, schema: Type.Object({ name: Type.String() }) })
  t.not(equal, serialize, 'an equal schema is another one')
})

t.test('routes that share a schema have only its fields in their responses', async (t) => {
  const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
  t.teardown(() => app.close())
  const schema = { response: { 200: Named, 404: Named } }
  app.get('/a', { schema }, async () => ({ name: 'a', secret: 1 }))
  app.get('/b', { schema }, async (_request, reply) => reply.code(404).send({ name: 'b', secret: 1 }))
  app.get('/list', { schema: { response: { 200: Type.Array(Named) } } }, async () => [
    { name: 'c', secret: 1 },
  ])
  t.equal((await app.inject('/a')).body, '{"name":"a"}')
  t.equal((await app.inject('/b')).body, '{"name":"b"}')
  t.equal((await app.inject('/list')).body, '[{"name":"c"}]')
})
