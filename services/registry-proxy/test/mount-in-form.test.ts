import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { basic, startProxy } from './fixtures/proxy.ts'
import { openRawConnection, statusOf } from './fixtures/raw-connection.ts'
import { DIGEST, OTHER_DIGEST } from './fixtures/requests.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
const authorization = bearer([
  repositoryAccess('team/app', 'pull', 'push'),
  repositoryAccess('team/base', 'pull'),
])
const uploads = '/v2/team/app/blobs/uploads/'
const FORM = 'application/x-www-form-urlencoded'
const own = 'from=team/base'
const foreign = 'from=other/app'
const MOUNTED = `${uploads}?mount=${encodeURIComponent(DIGEST)}&from=team%2Fbase`

const start = (query: string, body: string, contentType = FORM) =>
  sendRequest(port, uploads + query, {
    method: 'POST',
    authorization,
    body,
    headers: { 'content-type': contentType },
  })

/** The client's query and form, and the target that the registry gets. */
const CASES: readonly [string, string, string, string][] = [
  ['an own source in the form alone', '', `mount=${DIGEST}&${own}`, MOUNTED],
  ['a source without access in the form alone', '', `mount=${DIGEST}&${foreign}`, uploads],
  [
    'a source without access in the form wins over one with access in the query',
    `?mount=${DIGEST}&${own}`,
    `mount=${DIGEST}&${foreign}`,
    uploads,
  ],
  ['`from` in the form wins over the query', `?mount=${DIGEST}&${own}`, foreign, uploads],
  [
    'a source with access in the form wins over one without access in the query',
    `?mount=${DIGEST}&${foreign}`,
    `mount=${DIGEST}&${own}`,
    MOUNTED,
  ],
  ['a digest in the form wins over the query', `?mount=${OTHER_DIGEST}&${own}`, `mount=${DIGEST}`, MOUNTED],
  ['the first of a repeated parameter in the form counts', '', `mount=${DIGEST}&${own}&${foreign}`, MOUNTED],
  [
    'the first of a repeated parameter counts, a source without access',
    '',
    `mount=${DIGEST}&${foreign}&${own}`,
    uploads,
  ],
  ['an escaped form', '', `mount=sha256%3A${DIGEST.slice(7)}&from=team%2Fbase`, MOUNTED],
  ['a form with other parameters', `?mount=${DIGEST}&${own}`, 'a=b', MOUNTED],
  ['an empty form', `?mount=${DIGEST}&${own}`, '', MOUNTED],
]

for (const [what, query, form, expected] of CASES) {
  t.test(`the mount of a POST that starts an upload: ${what}`, async (t) => {
    t.equal((await start(query, form)).status, 200)
    const sent = upstream.only()
    upstream.requests.length = 0
    t.equal(sent.url, expected)
    t.equal(sent.body.length, 0, 'the form is not forwarded')
    t.equal(sent.headers['content-type'], undefined)
  })
}

const SPELLINGS = [
  `${FORM}; charset=utf-8`,
  'APPLICATION/X-WWW-FORM-URLENCODED',
  `${FORM} ;a=b`,
  'Application/X-www-Form-Urlencoded;',
]

for (const contentType of SPELLINGS) {
  t.test(`a body with Content-Type: ${contentType} is read as a form`, async (t) => {
    await start(`?mount=${DIGEST}&${own}`, foreign, contentType)
    t.equal(upstream.only().url, uploads)
    t.equal(upstream.only().body.length, 0)
    upstream.requests.length = 0
  })
}

const boundary = 'multipart/form-data; boundary=b'
const part = (name: string, value: string) =>
  `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const multipart = `${part('mount', DIGEST)}${part('from', 'other/app')}--b--\r\n`

/** Bodies that are not read. The mount that they name does not reach the registry. */
const UNREAD: readonly [string, string, Record<string, string>][] = [
  ['multipart', multipart, { 'content-type': boundary }],
  ['no type', `mount=${DIGEST}&${foreign}`, {}],
  [
    'a form in chunks',
    `mount=${DIGEST}&${foreign}`,
    { 'content-type': FORM, 'transfer-encoding': 'chunked' },
  ],
  ['a form above 16 KiB', `mount=${DIGEST}&${foreign}&x=${'x'.repeat(16_384)}`, { 'content-type': FORM }],
  ['a form of 1 MiB', `mount=${DIGEST}&${foreign}&x=${'x'.repeat(1 << 20)}`, { 'content-type': FORM }],
]

for (const [what, body, headers] of UNREAD) {
  t.test(`a body that registry-proxy does not read mounts nothing: ${what}`, async (t) => {
    const response = await sendRequest(port, uploads, { method: 'POST', authorization, body, headers })
    t.equal(response.status, 200)
    const sent = upstream.only()
    upstream.requests.length = 0
    t.equal(sent.url, uploads)
    t.equal(sent.body.length, 0)
    t.equal(sent.headers['content-type'], undefined)
    t.equal(sent.headers['transfer-encoding'], undefined)
  })
}

const MALFORMED: readonly [string, string, string][] = [
  ['an invalid digest', `mount=sha256:abc&${own}`, 'DIGEST_INVALID'],
  ['an invalid name', `mount=${DIGEST}&from=../other`, 'NAME_INVALID'],
]

for (const [what, malformed, code] of MALFORMED) {
  t.test(`a mount with ${what} is 400, in the form and in the query`, async (t) => {
    for (const response of [await start('', malformed), await start(`?${malformed}`, '')]) {
      t.equal(response.status, 400)
      t.equal(response.code, code)
    }
    t.same(upstream.requests, [])
  })
}

t.test('a client that may not push is refused before the proxy reads its form', async (t) => {
  const head = (authorization: string) =>
    `POST ${uploads} HTTP/1.1\r\nHost: x\r\n${authorization}Content-Type: ${FORM}\r\nContent-Length: 100\r\n\r\n`
  for (const [what, header, status] of [
    ['no credentials', '', 401],
    ['a bad token', 'Authorization: Bearer abc\r\n', 401],
    [
      'a token that permits pulls only',
      `Authorization: ${bearer([repositoryAccess('team/app', 'pull')])}\r\n`,
      401,
    ],
  ] as const) {
    const connection = await openRawConnection(port)
    connection.write(head(header))
    // No byte of the form has been sent.
    await connection.receives('}]}')
    t.equal(statusOf(connection.received()), status, what)
    connection.destroy()
  }
  t.same(upstream.requests, [])
})

t.test('a password is exchanged for a token that covers the mount in a form body', async (t) => {
  const access = [repositoryAccess('team/app', 'pull', 'push'), repositoryAccess('team/base', 'pull')]
  auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access })
  const headers = { 'content-type': FORM }
  const body = `mount=${DIGEST}&${own}`
  await sendRequest(port, uploads, { method: 'POST', authorization: basic('alice', 'pw'), body, headers })
  t.equal(upstream.requests.splice(0)[0]?.url, MOUNTED)
})
