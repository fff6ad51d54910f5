import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { jwtVerify } from 'jose'
import t from 'tap'
import { createFetchJson } from '../../src/federation/fetch-json.ts'
import { createFetchKeySet } from '../../src/federation/fetch-key-set.ts'
import { createIssuerKeys } from '../../src/federation/issuer-keys.ts'
import { startTokenIssuer } from '../fixtures/token-issuer.ts'

const issuer = await startTokenIssuer(t)
const DEADLINE_MS = 500
const fetchKeys = (...origins: string[]) => {
  const privateOrigins = new Set(origins)
  return createFetchKeySet(createFetchJson({ privateOrigins, ca: undefined }), privateOrigins, DEADLINE_MS)
}

t.test('the public keys of an issuer are read by its OpenID configuration', async (t) => {
  const { keys } = await fetchKeys(issuer.url)(issuer.url)
  t.strictSame(
    keys.map(({ kid }) => kid),
    ['RS256-1', 'PS384-1', 'ES256-1', 'EdDSA-1'],
  )
  t.equal((await fetchKeys(issuer.url)(issuer.url)).keys.length, 4, 'and again, by another client')
})

t.test('reading the keys of a misbehaving issuer fails with a reason, within the deadline', async (t) => {
  const cases = [
    ['hang', /timeout/i],
    ['large', /more than 262144 bytes/],
    ['many-keys', /more than 262144 bytes|at most 100 keys/],
    ['redirect', /returned 302/],
    ['other-issuer', /names another issuer/],
    ['no-json', /returned no JSON/],
    ['failing', /returned 500/],
  ] as const
  for (const [mode, message] of cases) {
    await issuer.set(mode)
    const started = performance.now()
    await t.rejects(fetchKeys(issuer.url)(issuer.url), { message }, mode)
    t.ok(performance.now() - started < 10 * DEADLINE_MS, `${mode} ends`)
  }
  await issuer.set('normal')
})

t.test('a public issuer cannot have its keys at a private one', async (t) => {
  const asked: string[] = []
  const answer = async (url: string) => {
    asked.push(url)
    return { issuer: 'https://public.example', jwks_uri: 'http://10.0.0.1:8080/keys' }
  }
  const fetchKeySet = createFetchKeySet(answer, new Set(['http://10.0.0.1:8080']), DEADLINE_MS)
  await t.rejects(fetchKeySet('https://public.example'), { message: /names keys at a private issuer/ })
  t.strictSame(
    asked,
    ['https://public.example/.well-known/openid-configuration'],
    'nothing else is requested',
  )
})

t.test('the service never connects to a private address, under any name of it', async (t) => {
  let connections = 0
  const server = createServer((_request, response) => response.end('{}'))
  server.on('connection', () => (connections += 1))
  server.listen(0)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  for (const host of [
    '127.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
    '0.0.0.0',
    '127.1',
    '0x7f.1',
  ]) {
    const url = `https://${host}:${port}`
    await t.rejects(fetchKeys()(url), { message: /has no public address/ }, url)
    await t.rejects(fetchKeys('https://127.0.0.1:1')(url), { message: /has no public address/ })
  }
  await t.rejects(fetchKeys()(`http://127.0.0.1:${port}`), { message: /is not an https URL/ })
  t.equal(connections, 0)
})

t.test('the origin of jwks_uri must be allowed, too', async (t) => {
  const keys = createServer((_request, response) => response.end('{"keys":[]}'))
  const configuration = createServer((request, response) => {
    const issuer = `http://${request.headers.host}`
    response.end(JSON.stringify({ issuer, jwks_uri: `${urlOf(keys)}/keys` }))
  })
  const urlOf = (server: typeof keys) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const server of [keys, configuration]) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
  }
  const url = urlOf(configuration)
  await t.rejects(fetchKeys(url)(url), { message: /is not an https URL/ })
  t.strictSame(await fetchKeys(url, urlOf(keys))(url), { keys: [] })
})

t.test('keys that an issuer has rotated are read again after 30 seconds', async (t) => {
  let now = 0
  const find = createIssuerKeys({
    fetchKeySet: fetchKeys(issuer.url),
    now: () => now,
    onFailure: (_issuer, error) => t.fail(String(error)),
  })
  const isValid = async (token: string, keyId: string) =>
    jwtVerify(token, await find(issuer.url, keyId)).then(
      () => true,
      () => false,
    )
  const before = await issuer.sign({})
  t.equal(await isValid(before, 'RS256-1'), true)
  await issuer.rotate()
  const after = await issuer.sign({})
  t.equal(await isValid(after, 'RS256-2'), false, 'the keys were read less than 30 s ago')
  now = 30_000
  t.equal(await isValid(after, 'RS256-2'), true)
  t.equal(await isValid(before, 'RS256-1'), false, 'the withdrawn key has lost its trust')
})
