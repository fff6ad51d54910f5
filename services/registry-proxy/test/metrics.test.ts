import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, internalUrl, bearer } = await startProxy(t)
const authorization = bearer([
  repositoryAccess('team/app', 'pull', 'push'),
  { type: 'registry', name: 'catalog', actions: ['*'] },
])

t.test('requests are counted by kind, not by route pattern', async (t) => {
  const app = '/v2/team/app'
  for (const [method, target, headers] of [
    ['GET', '/v2/', {}],
    ['GET', '/v2/_catalog', {}],
    ['GET', `${app}/tags/list`, {}],
    ['GET', `${app}/referrers/${DIGEST}`, {}],
    ['GET', `${app}/manifests/latest`, {}],
    ['HEAD', `${app}/manifests/${DIGEST}`, {}],
    ['GET', `${app}/blobs/${DIGEST}`, {}],
    ['GET', '/v2/other/app/manifests/latest', {}],
    ['POST', `${app}/blobs/uploads/`, {}],
    ['PATCH', `${app}/blobs/uploads/u1`, {}],
    ['GET', `${app}/blobs/${DIGEST}`, { 'x-decide-only': '1' }],
    ['GET', '/v2/Team/manifests/latest', {}],
  ] as const) {
    await sendRequest(port, target, { method, authorization, headers })
  }
  const metrics = await (await fetch(`${internalUrl}/metrics`)).text()
  const counts: Record<string, number> = {}
  for (const [, labels = '', count] of metrics.matchAll(
    /^http_request_duration_seconds_count\{(.*)\} (\d+)$/gm,
  )) {
    const route = /route="([^"]*)"/.exec(labels)?.[1] ?? ''
    counts[route] = (counts[route] ?? 0) + Number(count)
  }
  t.match(counts, {
    base: 1,
    catalog: 1,
    tags: 1,
    referrers: 1,
    manifest: 3,
    blob: 1,
    upload: 2,
    decision: 1,
    invalid: 1,
  })
  t.notOk(
    Object.keys(counts).some((route) => route.startsWith('/v2')),
    'no label is a route pattern',
  )
})
