import { once } from 'node:events'
import type { IncomingMessage, RequestListener } from 'node:http'
import { request as requestTls } from 'node:https'
import t from 'tap'
import { ask, askHttp2, sendRaw } from './fixtures/ask.ts'
import { startIngress, tell } from './fixtures/ingress.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const BLOB = `/v2/team/app/blobs/${DIGEST}`
const UPLOAD = '/v2/team/app/blobs/uploads/u1?_state=s&_binding=b'
const TOKEN = { authorization: 'Bearer x' }

const DOWN = { 'x-decided-uri': '/v2/decided/blobs/x', 'x-decided-authorization': 'Bearer decided' }
const UP = {
  'x-decided-uri': '/v2/decided/blobs/uploads/u1?_state=decided%3D%3D',
  'x-decided-authorization': 'Bearer decided',
  'x-decided-binding': 'decided-binding',
}

/** What is asked of registry-proxy, in turn; and answers, by what it is asked, that it permits all. */
function permitting(asked: (string | undefined)[] = []): RequestListener {
  return (request, response) => {
    const { method, url, headers } = request
    if (headers['x-decide-only'] !== '1') {
      asked.push(`carry ${method} ${url}`)
      return tell('registry-proxy')(request, response)
    }
    asked.push(`decide ${method} ${url}`)
    response.writeHead(200, method === 'GET' ? DOWN : UP).end()
  }
}

const started = (proxy: RequestListener | undefined, registry: RequestListener = tell('registry')) =>
  startIngress(t, { decides: true, services: { 'registry-proxy': [proxy], registry: [registry] } })

t.test('a blob comes from the registry itself, as registry-proxy decided it', async (t) => {
  const asked: string[] = []
  const ingress = await started(permitting(asked))
  const headers = {
    authorization: 'Bearer c2VjcmV0',
    accept: 'application/octet-stream',
    'if-none-match': '"x"',
    'user-agent': 'docker',
  }
  const hostile = {
    cookie: 'a=b',
    'x-forwarded-for': '10.9.8.7',
    'x-forwarded-prefix': '/elsewhere',
    'x-decide-only': '1',
    'x-decided-uri': '/v2/stolen/blobs/x',
    'x-http-method-override': 'DELETE',
  }
  for (const way of [ask, askHttp2]) {
    const answer = await way(ingress, { path: `${BLOB}?x=y`, headers: { ...headers, ...hostile } })
    t.equal(answer.status, 200)
    t.match(answer.json, { service: 'registry', method: 'GET', url: '/v2/decided/blobs/x' })
    const { headers: arrived } = answer.json as { headers: Record<string, string> }
    t.match(arrived, { ...headers, authorization: 'Bearer decided', 'x-forwarded-for': '127.0.0.1' })
    for (const name of Object.keys(hostile)) {
      if (name !== 'x-forwarded-for') t.equal(arrived[name], undefined, name)
    }
    t.notMatch(answer.headers, { 'x-decided-authorization': /./ })
  }
  t.same(asked, [`decide GET ${BLOB}?x=y`, `decide GET ${BLOB}?x=y`])
  t.notMatch(ingress.logged(), /decided|c2VjcmV0/)
})

t.test('a part of a blob goes there, and where it goes on is told with whose it is', async (t) => {
  const asked: string[] = []
  const registry: RequestListener = (request, response) => {
    response.setHeader('location', '/v2/team/app/blobs/uploads/u1?_state=next%3D%3D')
    response.setHeader('range', '0-9')
    response.statusCode = 202
    tell('registry')(request, response)
  }
  const ingress = await started(permitting(asked), registry)
  const headers = { authorization: 'Bearer c2VjcmV0', 'content-type': 'application/x-www-form-urlencoded' }
  for (const way of [ask, askHttp2]) {
    for (const length of [0, 10, 5 << 20]) {
      const answer = await way(ingress, {
        method: 'PATCH',
        path: UPLOAD,
        headers,
        body: Buffer.alloc(length),
      })
      t.equal(answer.status, 202)
      const { location, range } = answer.headers
      t.equal(location, '/v2/team/app/blobs/uploads/u1?_state=next%3D%3D&_binding=decided-binding')
      t.equal(range, '0-9')
      t.match(answer.json, {
        service: 'registry',
        method: 'PATCH',
        url: UP['x-decided-uri'],
        received: length,
        headers: { authorization: 'Bearer decided', 'content-type': 'application/octet-stream' },
      })
    }
  }
  t.same(new Set(asked), new Set([`decide PATCH ${UPLOAD}`]))
})

t.test('nothing of a body is read before it is decided', async (t) => {
  const decided = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<number>()
  const proxy: RequestListener = (_request, response) =>
    void decided.promise.then(() => response.writeHead(200, UP).end())
  const registry: RequestListener = (request, response) => {
    request.once('data', (chunk: Buffer) => arrived.resolve(chunk.length))
    request.on('end', () => response.end())
  }
  const { httpsPort, ca } = await started(proxy, registry)
  const options = { host: '127.0.0.1', port: httpsPort, ca, servername: 'localhost', agent: false as const }
  const headers = { authorization: 'Bearer x', expect: '100-continue', 'content-length': 2000 }
  const upload = requestTls({ ...options, method: 'PATCH', path: UPLOAD, headers })
  upload.flushHeaders()
  let isTold = false
  upload.on('continue', () => {
    isTold = true
    upload.write(Buffer.alloc(1000))
  })
  setTimeout(() => {
    t.notOk(isTold, 'no leave to send is given before')
    decided.resolve()
  }, 300)
  t.ok((await arrived.promise) > 0, 'what is sent arrives while the rest is to come')
  upload.end(Buffer.alloc(1000))
  const [response] = (await once(upload, 'response')) as [IncomingMessage]
  t.equal(response.statusCode, 200)
  response.resume()
})

t.test('what registry-proxy does not permit it refuses itself', async (t) => {
  for (const status of [204, 400, 401, 403, 404, 416, 429, 500, 503]) {
    let refusals = 0
    const refuse: RequestListener = (request, response) => {
      refusals += 1
      request.resume()
      // What was not decided is nowhere said to be.
      response.writeHead(status, { 'www-authenticate': 'Bearer realm="x"' })
      response.end(status === 204 ? undefined : 'refused')
    }
    const ingress = await started(refuse)
    const body = Buffer.alloc(2 << 20)
    const upload = {
      method: 'PATCH',
      path: UPLOAD,
      body,
      headers: { ...TOKEN, 'content-length': body.length },
    }
    for (const question of [{ path: BLOB, headers: TOKEN }, upload]) {
      for (const way of [ask, askHttp2]) {
        refusals = 0
        const answer = await way(ingress, question)
        t.match(answer, { status, headers: { 'www-authenticate': 'Bearer realm="x"' } }, `${status}`)
        if (status !== 204) t.equal(answer.text, 'refused')
        t.equal(refusals, 2, 'asked, and then told')
      }
    }
  }
  const away = await started(undefined)
  t.match(await ask(away, { path: BLOB, headers: TOKEN }), {
    status: 502,
    json: { errors: [{ code: 'UNAVAILABLE' }] },
  })
})

t.test('all else it carries, and is not asked', async (t) => {
  const asked: string[] = []
  const ingress = await started(permitting(asked))
  for (const [method, path, headers] of [
    ['HEAD', BLOB, {}],
    ['GET', BLOB, { range: 'bytes=1-2' }],
    ['GET', BLOB.replace('blobs', '%62lobs'), {}],
    ['GET', BLOB.replace('sha256:', 'sha512:'), {}],
    ['GET', '/v2/team/app/blobs/uploads/u1', {}],
    ['GET', '/v2/team/app/manifests/latest', {}],
    ['PATCH', UPLOAD, { 'content-range': '0-9' }],
    ['PUT', `${UPLOAD}&digest=${DIGEST}`, { 'content-range': '0-9' }],
    ['GET', BLOB, { 'content-length': '0' }],
    ['GET', BLOB, { authorization: 'Basic eA==' }],
    ['PATCH', UPLOAD, { authorization: 'Basic eA==' }],
    ['POST', '/v2/team/app/blobs/uploads/', { 'content-type': 'text/plain' }],
    ['DELETE', BLOB, {}],
  ] as const) {
    asked.length = 0
    const answer = await ask(ingress, { method, path, headers: { authorization: 'Bearer eA==', ...headers } })
    t.same(asked, [`carry ${method} ${path}`])
    if (method === 'HEAD') continue
    const told = { authorization: 'Bearer eA==', ...headers }
    t.match(answer.json, { service: 'registry-proxy', method, url: path, headers: told })
  }
  asked.length = 0
  await sendRaw(ingress, `GET ${BLOB} HTTP/1.1\r\nHost: x\r\nX-Decide-Only: 1\r\nConnection: close\r\n\r\n`)
  t.same(asked, [`carry GET ${BLOB}`], 'a client that asks it is not heard')
  asked.length = 0
  for (const path of ['/.decide', '/.undecided']) await ask(ingress, { path, headers: TOKEN })
  t.same(asked, [], 'and neither does it reach the question itself')
})

t.test('the registry answers for itself', async (t) => {
  const registry: RequestListener = (request, response) => {
    request.resume()
    const location = 'https://storage.example/blob?signature=x'
    response.writeHead(307, { location, 'docker-content-digest': DIGEST }).end()
  }
  const redirecting = await started(permitting(), registry)
  t.match(await ask(redirecting, { path: BLOB, headers: TOKEN }), {
    status: 307,
    headers: { location: 'https://storage.example/blob?signature=x', 'docker-content-digest': DIGEST },
  })
  const away = await startIngress(t, {
    decides: true,
    services: { 'registry-proxy': [permitting()], registry: [undefined] },
  })
  t.match(await ask(away, { path: BLOB, headers: TOKEN }), {
    status: 502,
    json: { errors: [{ code: 'UNAVAILABLE' }] },
  })
})

t.test('registry-proxy carries all of it where nginx is not to', async (t) => {
  const asked: string[] = []
  const variables = { BLOBS_CARRIED_BY: 'registry-proxy' }
  const services = { 'registry-proxy': [permitting(asked)] }
  const ingress = await startIngress(t, { decides: true, services, variables })
  t.match((await ask(ingress, { path: BLOB, headers: TOKEN })).json, { service: 'registry-proxy', url: BLOB })
  t.same(asked, [`carry GET ${BLOB}`])
})

t.test('only what begins an upload is sent again when a process dies', async (t) => {
  const reached: (string | undefined)[] = []
  const die: RequestListener = (request) => {
    reached.push(request.method)
    request.on('end', () => request.socket.destroy()).resume()
  }
  for (const decides of [true, false]) {
    const ingress = await startIngress(t, {
      decides,
      services: { 'registry-proxy': decides ? [permitting()] : [die, die], registry: [die, die] },
    })
    for (const length of [0, 1, 1 << 20]) {
      for (const way of [ask, askHttp2]) {
        reached.length = 0
        const body = Buffer.alloc(length)
        t.equal((await way(ingress, { method: 'PATCH', path: UPLOAD, headers: TOKEN, body })).status, 502)
        t.same(reached, ['PATCH'], `PATCH with ${length} bytes`)
      }
    }
  }
  const services = { 'registry-proxy': [die, tell('registry-proxy')] }
  const ingress = await startIngress(t, { services })
  for (let number = 0; number < 4; number += 1) {
    const answer = await ask(ingress, { method: 'POST', path: '/v2/team/app/blobs/uploads/' })
    t.match(answer, { status: 200, json: { method: 'POST' } })
  }
})
