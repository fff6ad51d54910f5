import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import type { Test } from 'tap'
import t from 'tap'
import { Type } from 'typebox'
import { ServiceCallError, createServiceClient } from '../src/http-client.ts'

const CREDENTIAL = 'the-credential-that-services-share'
const Answer = Type.Object({ count: Type.Integer() })

/** A server on a port of its own. Its connections are cut when the test is over. */
async function listen(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}

/** The error that a call ends with; a call that succeeds is a failed test. */
async function failureOf(t: Test, call: Promise<unknown>): Promise<ServiceCallError> {
  try {
    await call
  } catch (error) {
    t.ok(error instanceof ServiceCallError, 'one typed error for everything')
    t.notMatch(
      inspect(error, { depth: 20, showHidden: true }),
      CREDENTIAL,
      'which never holds the credential',
    )
    return error as ServiceCallError
  }
  return t.fail('the call was to fail') as never
}

t.test('a call brings the credential, and its answer is typed', async (t) => {
  const seen: object[] = []
  const url = await listen(t, async (request, response) => {
    const { method, url, headers } = request
    const { authorization, 'content-type': type } = headers
    seen.push({ method, url, authorization, type, body: await bodyOf(request) })
    response.end('{"count":3}')
  })
  const client = createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL })
  t.strictSame(await client.get('/internal/x?y=1', Answer), { count: 3 })
  t.strictSame(await client.post('/internal/z', { a: ['b'] }, Answer), { count: 3 })
  t.strictSame(await client.postBytes('/internal/b', Buffer.from('{ "x":1}\n'), Answer), { count: 3 })
  t.strictSame(await client.delete('/internal/d', Answer), { count: 3 })
  const authorization = `Bearer ${CREDENTIAL}`
  const [json, bytes] = ['application/json', 'application/octet-stream']
  t.strictSame(seen, [
    { method: 'GET', url: '/internal/x?y=1', authorization, type: undefined, body: '' },
    { method: 'POST', url: '/internal/z', authorization, type: json, body: '{"a":["b"]}' },
    { method: 'POST', url: '/internal/b', authorization, type: bytes, body: '{ "x":1}\n' },
    { method: 'DELETE', url: '/internal/d', authorization, type: undefined, body: '' },
  ])
})

t.test('an answer that has not changed since is not sent again', async (t) => {
  const url = await listen(t, (request, response) => {
    const isKnown = request.headers['if-none-match'] === '"one"'
    response.writeHead(isKnown ? 304 : 200, { etag: '"one"' }).end(isKnown ? undefined : '{"count":3}')
  })
  const client = createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL })
  const one = { value: { count: 3 }, etag: '"one"' }
  t.strictSame(await client.getIfChanged('/internal/x', Answer, undefined), one)
  t.strictSame(await client.getIfChanged('/internal/x', Answer, '"other"'), one)
  t.strictSame(await client.getIfChanged('/internal/x', Answer, '"one"'), undefined)
})

t.test('a service that gives no ETag is asked for all each time', async (t) => {
  const url = await listen(t, (_request, response) => response.end('{"count":3}'))
  const client = createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL })
  t.strictSame(await client.getIfChanged('/internal/x', Answer, '"one"'), {
    value: { count: 3 },
    etag: undefined,
  })
})

t.test('an answer of another status names it', async (t) => {
  for (const status of [400, 401, 404, 409, 500, 503]) {
    const url = await listen(t, (_request, response) => response.writeHead(status).end('{"count":3}'))
    const error = await failureOf(
      t,
      createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL }).get(
        '/internal/x',
        Answer,
      ),
    )
    t.equal(error.status, status)
    t.match(error.message, `GET /internal/x at ${new URL(url).host} answered ${status}`)
  }
})

t.test('an error says who it was, and why where that was told', async (t) => {
  const url = await listen(t, (_request, response) =>
    response.writeHead(409).end('{"detail":"the tag is immutable","count":3}'),
  )
  const error = await failureOf(
    t,
    createServiceClient({
      dependency: 'image-manager',
      url: url,
      credential: CREDENTIAL,
      timeoutMs: 1000,
    }).get('/x', Answer),
  )
  t.match(error, { dependency: 'image-manager', status: 409, message: 'answered 409: the tag is immutable' })
  const gone = createServiceClient({
    dependency: 'image-manager',
    url: 'http://127.0.0.1:1',
    credential: CREDENTIAL,
    timeoutMs: 1000,
  })
  t.match(await failureOf(t, gone.get('/x', Answer)), { dependency: 'image-manager' })
})

t.test('an answer in another shape is none', async (t) => {
  for (const body of ['', 'no json', '{"count":', '{}', '{"count":"3"}', '{"count":1.5}', '[]', 'null']) {
    const url = await listen(t, (_request, response) => response.end(body))
    const error = await failureOf(
      t,
      createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL }).get(
        '/internal/x',
        Answer,
      ),
    )
    t.match(error.message, 'unknown shape', JSON.stringify(body))
    t.equal(error.status, undefined)
  }
})

t.test('a server that never answers meets the deadline', async (t) => {
  const url = await listen(t, () => {})
  const error = await failureOf(
    t,
    createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL, timeoutMs: 100 }).get(
      '/internal/x',
      Answer,
    ),
  )
  t.match(error.message, 'did not answer')
  t.match(error.cause, { name: 'TimeoutError' })
})

t.test('so does one that stops in the middle of its answer', async (t) => {
  const url = await listen(t, (_request, response) => void response.writeHead(200).write('{"count":'))
  await failureOf(
    t,
    createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL, timeoutMs: 100 }).get(
      '/internal/x',
      Answer,
    ),
  )
})

t.test('a server that hangs up, or is not there, did not answer', async (t) => {
  const url = await listen(t, (request) => void request.socket.destroy())
  t.match(
    await failureOf(
      t,
      createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL }).get('/x', Answer),
    ),
    {
      message: 'did not answer',
    },
  )
  const gone = createServiceClient({
    dependency: 'auth-service',
    url: 'http://127.0.0.1:1',
    credential: CREDENTIAL,
  })
  t.match(await failureOf(t, gone.post('/x', {}, Answer)), { message: 'did not answer', status: undefined })
})

t.test('a redirect is not followed: the credential would go along', async (t) => {
  const reached: string[] = []
  const elsewhere = await listen(t, (request, response) => {
    reached.push(request.url ?? '')
    response.end('{"count":3}')
  })
  for (const status of [301, 302, 307, 308]) {
    const url = await listen(t, (_request, response) =>
      response.writeHead(status, { location: `${elsewhere}/stolen` }).end(),
    )
    await failureOf(
      t,
      createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL }).get('/x', Answer),
    )
  }
  t.same(reached, [])
})

t.test('a call that is broken off is made again, with all that it brought', async (t) => {
  for (const [what, breakOff] of [
    ['the connection ends', ({ socket }) => void socket.destroy()],
    ['the balancer says so', (_request, response) => void response.writeHead(502).end('<html>')],
  ] as const satisfies readonly (readonly [string, RequestListener])[]) {
    const bodies: string[] = []
    const url = await listen(t, async (request, response) => {
      bodies.push(await bodyOf(request))
      if (bodies.length < 4) breakOff(request, response)
      else response.end('{"count":3}')
    })
    const client = createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL })
    t.strictSame(await client.postBytes('/x', Buffer.from('bytes'), Answer), { count: 3 }, what)
    t.strictSame(bodies, ['bytes', 'bytes', 'bytes', 'bytes'])
  }
})

t.test('but not a deletion, which finds nothing the second time', async (t) => {
  let calls = 0
  const url = await listen(t, ({ socket }) => {
    calls += 1
    socket.destroy()
  })
  await failureOf(
    t,
    createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL }).delete(
      '/x',
      Answer,
    ),
  )
  t.equal(calls, 1)
})

t.test('not for ever, and not past its deadline', async (t) => {
  let calls = 0
  const url = await listen(t, (_request, response) => {
    calls += 1
    response.writeHead(502).end()
  })
  t.match(
    await failureOf(
      t,
      createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL }).get('/x', Answer),
    ),
    { status: 502 },
  )
  t.equal(calls, 4)
  calls = 0
  await failureOf(
    t,
    createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL, timeoutMs: 25 }).get(
      '/x',
      Answer,
    ),
  )
  t.ok(calls < 4, `it was asked ${calls} times`)
})

t.test('an answer is not asked for again, whatever it says', async (t) => {
  for (const status of [400, 404, 429, 500, 503, 504]) {
    let calls = 0
    const url = await listen(t, (_request, response) => {
      calls += 1
      response.writeHead(status, { 'retry-after': '0' }).end()
    })
    await failureOf(
      t,
      createServiceClient({ dependency: 'auth-service', url: url, credential: CREDENTIAL }).get('/x', Answer),
    )
    t.equal(calls, 1, `${status}`)
  }
})

t.test('an error has the detail and the Retry-After of the response', async (t) => {
  for (const [retryAfter, seconds] of [
    ['2', 2],
    ['Sat, 21 Nov 2026 00:00:00 GMT', undefined],
  ] as const) {
    const url = await listen(t, (_request, response) =>
      response.writeHead(503, { 'retry-after': retryAfter }).end('{"detail":"being deleted"}'),
    )
    const client = createServiceClient({ dependency: 'image-manager', url, credential: CREDENTIAL })
    const error = await failureOf(t, client.get('/x', Answer))
    t.match(error, { status: 503, detail: 'being deleted' }, retryAfter)
    t.equal(error.retryAfterSeconds, seconds, retryAfter)
  }
})
