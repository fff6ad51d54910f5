import type { RequestListener, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { send, sendHttp2, closeOf } from './fixtures/client.ts'
import { startIngress, echo } from './fixtures/ingress.ts'

t.test('a client address over its limit of concurrent requests gets 429', async (t) => {
  const waiting: ServerResponse[] = []
  const arrived: (() => void)[] = []
  const hold: RequestListener = (_request, response) => {
    waiting.push(response)
    arrived.shift()?.()
  }
  const services = { 'registry-proxy': [hold] }
  const ingress = await startIngress(t, { services, variables: { CLIENT_CONNECTIONS: '3' } })
  const held: Promise<unknown>[] = []
  for (const sendRequest of [send, send, sendHttp2]) {
    const here = new Promise<void>((resolve) => arrived.push(resolve))
    held.push(sendRequest(ingress, { path: '/v2/' }))
    await here
  }
  for (const sendRequest of [send, sendHttp2]) {
    t.match(await sendRequest(ingress, { path: '/v2/' }), {
      status: 429,
      headers: { 'retry-after': '1' },
      json: { errors: [{ code: 'TOOMANYREQUESTS' }] },
    })
    t.match(await sendRequest(ingress, { path: '/user' }), { status: 429, json: { status: 429 } })
  }
  t.equal(
    (await send(ingress, { path: '/user', plain: true })).status,
    200,
    'clients without TLS are not limited',
  )
  for (const response of waiting) response.end('done')
  t.match(await Promise.all(held), [{ status: 200 }, { status: 200 }, { status: 200 }])
  t.equal(
    (await send(ingress, { path: '/user' })).status,
    200,
    'requests are served again after the others have ended',
  )
})

t.test('a client address over its request rate and burst gets 429', async (t) => {
  const variables = { CLIENT_REQUESTS_PER_SECOND: '1', CLIENT_REQUEST_BURST: '5' }
  const ingress = await startIngress(t, { variables })
  const answers = await Promise.all(Array.from({ length: 40 }, () => send(ingress, { path: '/v2/' })))
  const limited = answers.filter(({ status }) => status === 429)
  t.ok(limited.length > 0, 'requests beyond the burst are refused')
  t.ok(answers.length - limited.length >= 6, 'requests within the burst are served')
  t.match(limited[0], { headers: { 'retry-after': '1' }, json: { errors: [{ code: 'TOOMANYREQUESTS' }] } })
  for (let number = 0; number < 40; number += 1) {
    t.equal((await send(ingress, { path: '/v2/', plain: true })).status, 200)
  }
})

t.test(
  'nginx closes a connection whose request headers are not complete within CLIENT_HEADER_TIMEOUT',
  async (t) => {
    let reached = 0
    const count: RequestListener = (request, response) => {
      reached += 1
      echo('registry-proxy')(request, response)
    }
    const services = { 'registry-proxy': [count] }
    const ingress = await startIngress(t, { services, variables: { CLIENT_HEADER_TIMEOUT: '2s' } })
    const slow = connect(ingress.plainPort, '127.0.0.1')
    slow.on('error', () => {})
    const closed = closeOf(slow)
    slow.write('GET /v2/ HTTP/1.1\r\nHost: a\r\n')
    const trickle = setInterval(() => slow.write('X: y\r\n'), 100)
    slow.resume()
    await closed
    clearInterval(trickle)
    t.equal(reached, 0)
    t.equal((await send(ingress, { path: '/v2/' })).status, 200)
  },
)

t.test('CLIENT_BODY_TIMEOUT ends a request body that stops, and not one that is slow', async (t) => {
  const ingress = await startIngress(t, {
    variables: { CLIENT_BODY_TIMEOUT: '2s', CLIENT_HEADER_TIMEOUT: '2s' },
  })
  const head = (length: number) =>
    `PATCH /v2/a/blobs/uploads/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`

  const still = connect(ingress.plainPort, '127.0.0.1')
  still.on('error', () => {})
  still.write(`${head(100)}some`)
  still.resume()
  await closeOf(still)

  // 7.5 s in all, several times the time-outs.
  const moving = connect(ingress.plainPort, '127.0.0.1')
  moving.write(head(30))
  for (let number = 0; number < 30; number += 1) {
    await sleep(250)
    moving.write('x')
  }
  let response = ''
  for await (const chunk of moving) response += chunk
  t.match(response, /^HTTP\/1\.1 200 [^]*"received":30\}$/)
})
