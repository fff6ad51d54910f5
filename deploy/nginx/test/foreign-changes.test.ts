import t from 'tap'
import { send } from './fixtures/client.ts'
import { startIngress } from './fixtures/ingress.ts'

t.test('every location of nginx forwards the headers that show the origin of a change', async (t) => {
  const ingress = await startIngress(t)
  const headers = {
    origin: 'https://evil.example',
    'sec-fetch-site': 'cross-site',
    authorization: 'Basic amFuZTpzZWNyZXQ=',
  }
  const digest = `sha256:${'a'.repeat(64)}`
  for (const [method, path] of [
    ['POST', '/user'],
    ['POST', '/auth/v2/token'],
    ['DELETE', '/image-manager/api/v1/repositories/team/app'],
    ['PUT', '/v2/team/app/manifests/latest'],
    ['POST', '/v2/team/app/blobs/uploads/'],
    ['PATCH', '/v2/team/app/blobs/uploads/an-id?_state=x'],
    ['PUT', '/v2/team/app/blobs/uploads/an-id?_state=x'],
    ['DELETE', `/v2/team/app/blobs/${digest}`],
  ] as const) {
    const answer = await send(ingress, { method, path, headers })
    t.match(
      answer.json,
      { headers: { origin: headers.origin, 'sec-fetch-site': 'cross-site' } },
      `${method} ${path}`,
    )
  }
})
