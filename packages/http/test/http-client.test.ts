import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { inspect } from 'node:util'
import type { Test } from 'tap'
import t from 'tap'
import { Type } from 'typebox'
import type { ServiceClientOptions } from '../src/http-client.ts'
import { ServiceCallError, createServiceClient, undefinedIfNotFound } from '../src/http-client.ts'

const CREDENTIAL = 'the-credential-that-services-share'
const Count = Type.Object({ count: Type.Integer() })

/** Nothing listens on port 1 of the loopback address. */
const REFUSING = 'http://127.0.0.1:1'

function clientOf(url: string, options: Partial<ServiceClientOptions> = {}) {
  return createServiceClient({ dependency: 'auth-service', url, credential: CREDENTIAL, ...options })
}

/** Starts a server on a free port; its connections are closed when the test ends. */
async function listen(t: Test, respond: RequestListener): Promise<string> {
  const server = createServer(respond)
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

/** Returns the error of a failing call; fails the test when the call succeeds. */
async function failureOf(t: Test, call: Promise<unknown>): Promise<ServiceCallError> {
  try {
    await call
  } catch (error) {
    t.ok(error instanceof ServiceCallError, 'every failure is a ServiceCallError')
    const everything = inspect(error, { depth: 20, showHidden: true })
    t.notMatch(everything, CREDENTIAL, 'the error does not hold the credential')
    return error as ServiceCallError
  }
  return t.fail('the call succeeded') as never
}

t.test('a call sends the credential and returns the validated response', async (t) => {
  const seen: object[] = []
  const url = await listen(t, async (request, response) => {
    const { method, url, headers } = request
    const { authorization, 'content-type': type } = headers
    seen.push({ method, url, authorization, type, body: await bodyOf(request) })
    response.end('{"count":3}')
  })
  const client = clientOf(url)
  t.strictSame(await client.get('/internal/x?y=1', Count), { count: 3 })
  t.strictSame(await client.post('/internal/z', { a: ['b'] }, Count), { count: 3 })
  t.strictSame(await client.postBytes('/internal/b', Buffer.from('{ "x":1}\n'), Count), { count: 3 })
  t.strictSame(await client.delete('/internal/d', Count), { count: 3 })
  const authorization = `Bearer ${CREDENTIAL}`
  const [json, bytes] = ['application/json', 'application/octet-stream']
  t.strictSame(seen, [
    { method: 'GET', url: '/internal/x?y=1', authorization, type: undefined, body: '' },
    { method: 'POST', url: '/internal/z', authorization, type: json, body: '{"a":["b"]}' },
    { method: 'POST', url: '/internal/b', authorization, type: bytes, body: '{ "x":1}\n' },
    { method: 'DELETE', url: '/internal/d', authorization, type: undefined, body: '' },
  ])
})

t.test('a value with an unchanged ETag is not transferred again', async (t) => {
  const url = await listen(t, (request, response) => {
    const isKnown = request.headers['if-none-match'] === '"one"'
    response.writeHead(isKnown ? 304 : 200, { etag: '"one"' }).end(isKnown ? undefined : '{"count":3}')
  })
  const client = clientOf(url)
  const one = { value: { count: 3 }, etag: '"one"' }
  t.strictSame(await client.getIfChanged('/internal/x', Count, undefined), one)
  t.strictSame(await client.getIfChanged('/internal/x', Count, '"other"'), one)
  t.strictSame(await client.getIfChanged('/internal/x', Count, '"one"'), undefined)
})

t.test('getIfChanged returns the value of a service that sends no ETag', async (t) => {
  const url = await listen(t, (_request, response) => response.end('{"count":3}'))
  const result = await clientOf(url).getIfChanged('/internal/x', Count, '"one"')
  t.strictSame(result, { value: { count: 3 }, etag: undefined })
})

t.test('the error of an unsuccessful response has its status', async (t) => {
  for (const status of [400, 401, 404, 409, 500, 503]) {
    const url = await listen(t, (_request, response) => response.writeHead(status).end('{"count":3}'))
    const error = await failureOf(t, clientOf(url).get('/internal/x', Count))
    t.equal(error.status, status)
    t.match(error.message, `GET /internal/x at ${new URL(url).host} returned ${status}`)
  }
})

t.test('an error names the dependency and quotes the detail of a problem', async (t) => {
  const url = await listen(t, (_request, response) =>
    response.writeHead(409).end('{"detail":"the tag is immutable","count":3}'),
  )
  const options = { dependency: 'image-manager' } as const
  const error = await failureOf(t, clientOf(url, options).get('/x', Count))
  t.match(error, { ...options, status: 409, message: 'returned 409: the tag is immutable' })
  t.match(await failureOf(t, clientOf(REFUSING, options).get('/x', Count)), options)
})

t.test('a response of an unexpected shape is an error without a status', async (t) => {
  for (const body of ['', 'no json', '{"count":', '{}', '{"count":"3"}', '{"count":1.5}', '[]', 'null']) {
    const url = await listen(t, (_request, response) => response.end(body))
    const error = await failureOf(t, clientOf(url).get('/internal/x', Count))
    t.match(error.message, 'unexpected shape', JSON.stringify(body))
    t.equal(error.status, undefined)
  }
})

t.test('a call to a server that never responds fails at its deadline', async (t) => {
  const url = await listen(t, () => {})
  const error = await failureOf(t, clientOf(url, { timeoutMs: 100 }).get('/internal/x', Count))
  t.match(error.message, 'got no response')
  t.match(error.cause, { name: 'TimeoutError' })
})

t.test('a call whose response stops halfway fails at its deadline', async (t) => {
  const url = await listen(t, (_request, response) => void response.writeHead(200).write('{"count":'))
  const error = await failureOf(t, clientOf(url, { timeoutMs: 100 }).get('/internal/x', Count))
  t.match(error, { message: 'the response broke off', status: undefined })
  t.match(error.cause, { name: 'TimeoutError' }, 'the cause names the deadline')
})

t.test('a call whose connection is never accepted fails at its deadline', async (t) => {
  // The child's event loop is blocked: connections beyond its backlog of 1 hang.
  const script = `
    const server = require('node:net').createServer()
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [output] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(output.toString())
  const filling = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  t.teardown(() => filling.forEach((socket) => socket.destroy()))
  await Promise.all(filling.slice(0, 2).map((socket) => once(socket, 'connect')))
  const started = performance.now()
  const error = await failureOf(t, clientOf(`http://127.0.0.1:${port}`, { timeoutMs: 100 }).get('/x', Count))
  t.match(error.cause, { name: 'TimeoutError' })
  t.ok(performance.now() - started < 8000, 'the deadline includes connecting')
})

t.test('a call whose connection breaks, or is refused, fails after its retries', async (t) => {
  const url = await listen(t, (request) => void request.socket.destroy())
  t.match(await failureOf(t, clientOf(url).get('/x', Count)), { message: 'got no response' })
  const refused = await failureOf(t, clientOf(REFUSING).post('/x', {}, Count))
  t.match(refused, { message: 'got no response', status: undefined })
})

t.test('a redirect is not followed, so that the credential stays with the service', async (t) => {
  const reached: string[] = []
  const elsewhere = await listen(t, (request, response) => {
    reached.push(request.url ?? '')
    response.end('{"count":3}')
  })
  for (const status of [301, 302, 307, 308]) {
    const url = await listen(t, (_request, response) =>
      response.writeHead(status, { location: `${elsewhere}/stolen` }).end(),
    )
    await failureOf(t, clientOf(url).get('/x', Count))
  }
  t.same(reached, [])
})

const INTERRUPTIONS = [
  ['a broken connection', ({ socket }) => void socket.destroy()],
  ['a 502 of a balancer', (_request, response) => void response.writeHead(502).end('<html>')],
] as const satisfies readonly (readonly [string, RequestListener])[]

t.test('an interrupted call is retried with its body', async (t) => {
  for (const [name, interrupt] of INTERRUPTIONS) {
    const bodies: string[] = []
    const url = await listen(t, async (request, response) => {
      bodies.push(await bodyOf(request))
      if (bodies.length < 4) interrupt(request, response)
      else response.end('{"count":3}')
    })
    t.strictSame(await clientOf(url).postBytes('/x', Buffer.from('bytes'), Count), { count: 3 }, name)
    t.strictSame(bodies, ['bytes', 'bytes', 'bytes', 'bytes'])
  }
})

t.test('an interrupted DELETE is not retried: a repeat would report "not found"', async (t) => {
  for (const [name, interrupt] of INTERRUPTIONS) {
    let calls = 0
    const url = await listen(t, (request, response) => {
      calls += 1
      interrupt(request, response)
    })
    await failureOf(t, clientOf(url).delete('/x', Count))
    t.equal(calls, 1, name)
  }
})

t.test('a call is retried three times at most, and never beyond its deadline', async (t) => {
  let calls = 0
  const url = await listen(t, (_request, response) => {
    calls += 1
    response.writeHead(502).end()
  })
  t.match(await failureOf(t, clientOf(url).get('/x', Count)), { status: 502 })
  t.equal(calls, 4)
  calls = 0
  const late = await failureOf(t, clientOf(url, { timeoutMs: 25 }).get('/x', Count))
  t.match(late.cause, { name: 'TimeoutError' })
  t.ok(calls < 4, `${calls} calls`)
})

t.test('a response other than 502 is final', async (t) => {
  for (const status of [400, 404, 429, 500, 503, 504]) {
    let calls = 0
    const url = await listen(t, (_request, response) => {
      calls += 1
      response.writeHead(status, { 'retry-after': '0' }).end()
    })
    await failureOf(t, clientOf(url).get('/x', Count))
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
    const client = clientOf(url)
    const error = await failureOf(t, client.get('/x', Count))
    t.match(error, { status: 503, detail: 'being deleted' }, retryAfter)
    t.equal(error.retryAfterSeconds, seconds, retryAfter)
  }
})

t.test('a response that breaks off after its head is an error, never a wrong value', async (t) => {
  let calls = 0
  const url = await listen(t, (_request, response) => {
    calls += 1
    const isFirst = calls === 1
    response.writeHead(200, { 'content-length': isFirst ? '12' : '11' })
    if (isFirst) response.write('{"count":', () => response.socket?.destroy())
    else response.end('{"count":4}')
  })
  const error = await failureOf(t, clientOf(url).get('/x', Count))
  t.match(error, { message: 'the response broke off', status: undefined })
  t.ok(error.cause instanceof Error, 'the cause is kept')
})

t.test('a client opens no more connections than its limit; further calls wait for one', async (t) => {
  let [open, most] = [0, 0]
  const url = await listen(t, (_request, response) => {
    open += 1
    most = Math.max(most, open)
    setTimeout(() => {
      open -= 1
      response.end('{"count":3}')
    }, 20)
  })
  const client = clientOf(url, { maxConnections: 2 })
  const results = await Promise.all(Array.from({ length: 10 }, () => client.get('/x', Count)))
  t.equal(results.length, 10)
  t.equal(most, 2)
})

t.test('a call that waits for a connection fails at its deadline', async (t) => {
  const url = await listen(t, () => {})
  const client = clientOf(url, { maxConnections: 1, timeoutMs: 1000 })
  const started = performance.now()
  const calls = Array.from({ length: 5 }, () => failureOf(t, client.get('/x', Count)))
  for (const error of await Promise.all(calls)) t.match(error.cause, { name: 'TimeoutError' })
  t.ok(performance.now() - started < 4500, 'the deadlines run while the calls wait')
})

t.test('undefinedIfNotFound turns a 404 response into undefined, and no other failure', async (t) => {
  let status = 404
  const url = await listen(t, (_request, response) => response.writeHead(status).end('{"count":3}'))
  t.equal(await undefinedIfNotFound(clientOf(url).get('/x', Count)), undefined)
  status = 403
  t.equal((await failureOf(t, undefinedIfNotFound(clientOf(url).get('/x', Count)))).status, 403)
  status = 200
  t.strictSame(await undefinedIfNotFound(clientOf(url).get('/x', Count)), { count: 3 })
})
