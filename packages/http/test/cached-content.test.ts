import { performance } from 'node:perf_hooks'
import { createMetrics, createServer } from '@registry-manager/http'
import t from 'tap'

const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
app.delete('/found', async (_request, reply) => reply.code(202).send())
app.delete('/missing', async (_request, reply) => reply.code(404).send())
app.get('/found', async () => 'here')
t.teardown(() => app.close())

type Method = 'DELETE' | 'GET'

async function duration(method: Method, url: string, cached?: string): Promise<number> {
  const begin = performance.now()
  const headers = cached === undefined ? {} : { 'x-content-cached': cached }
  await app.inject({ method, url, headers })
  return performance.now() - begin
}

t.test('the response to a deletion waits until no cache has the deleted content', async (t) => {
  t.ok((await duration('DELETE', '/found', '1')) >= 990)
})

t.test('only a successful deletion with a valid X-Content-Cached waits', async (t) => {
  for (const [method, url, cached] of [
    ['DELETE', '/found', undefined],
    ['DELETE', '/found', ''],
    ['DELETE', '/found', '60'],
    ['DELETE', '/found', '-1'],
    ['DELETE', '/found', 'soon'],
    ['DELETE', '/missing', '1'],
    ['GET', '/found', '1'],
  ] as const) {
    t.ok((await duration(method, url, cached)) < 900, `${method} ${url} ${cached}`)
  }
})
