import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
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
  ask(port, uploads + query, {
    method: 'POST',
    authorization,
    body,
    headers: { 'content-type': contentType },
  })

/** Query and form as they came; what the registry is asked. */
const CASES: readonly [string, string, string, string][] = [
  ['the form alone, own', '', `mount=${DIGEST}&${own}`, MOUNTED],
  ['the form alone, foreign', '', `mount=${DIGEST}&${foreign}`, uploads],
  ['a foreign form wins over an own query', `?mount=${DIGEST}&${own}`, `mount=${DIGEST}&${foreign}`, uploads],
  ['a foreign from in the form is enough', `?mount=${DIGEST}&${own}`, foreign, uploads],
  ['an own form wins over a foreign query', `?mount=${DIGEST}&${foreign}`, `mount=${DIGEST}&${own}`, MOUNTED],
  ['a digest in the form wins', `?mount=${OTHER_DIGEST}&${own}`, `mount=${DIGEST}`, MOUNTED],
  ['of a repeated name in the form the first counts', '', `mount=${DIGEST}&${own}&${foreign}`, MOUNTED],
  [
    'of a repeated name in the form the first counts, foreign',
    '',
    `mount=${DIGEST}&${foreign}&${own}`,
    uploads,
  ],
  ['an escaped form', '', `mount=sha256%3A${DIGEST.slice(7)}&from=team%2Fbase`, MOUNTED],
  ['a form about other things', `?mount=${DIGEST}&${own}`, 'a=b', MOUNTED],
  ['an empty form', `?mount=${DIGEST}&${own}`, '', MOUNTED],
]

for (const [what, query, form, expected] of CASES) {
  t.test(what, async (t) => {
    t.equal((await start(query, form)).status, 200)
    const sent = upstream.only()
    upstream.requests.length = 0
    t.equal(sent.url, expected)
    t.equal(sent.body.length, 0, 'nothing of the form is sent on')
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
  t.test(`Content-Type: ${contentType} is a form as well`, async (t) => {
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

/** Bodies that are not read at all. What they ask for never gets to the registry. */
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
  t.test(`${what} mounts nothing`, async (t) => {
    const answer = await ask(port, uploads, { method: 'POST', authorization, body, headers })
    t.equal(answer.status, 200)
    const sent = upstream.only()
    upstream.requests.length = 0
    t.equal(sent.url, uploads)
    t.equal(sent.body.length, 0)
    t.equal(sent.headers['content-type'], undefined)
    t.equal(sent.headers['transfer-encoding'], undefined)
  })
}

const MALFORMED: readonly [string, string, string][] = [
  ['a digest', `mount=sha256:abc&${own}`, 'DIGEST_INVALID'],
  ['a name', `mount=${DIGEST}&from=../other`, 'NAME_INVALID'],
]

for (const [what, malformed, code] of MALFORMED) {
  t.test(`${what} that is none is refused, in the form as in the query`, async (t) => {
    for (const answer of [await start('', malformed), await start(`?${malformed}`, '')]) {
      t.equal(answer.status, 400)
      t.equal(answer.code, code)
    }
    t.same(upstream.requests, [])
  })
}

t.test('a form is not waited for where its sender may not push', async (t) => {
  const head = (authorization: string) =>
    `POST ${uploads} HTTP/1.1\r\nHost: x\r\n${authorization}Content-Type: ${FORM}\r\nContent-Length: 100\r\n\r\n`
  for (const [what, header, status] of [
    ['no credentials', '', 401],
    ['a bad token', 'Authorization: Bearer abc\r\n', 401],
    ['a token that only pulls', `Authorization: ${bearer([repositoryAccess('team/app', 'pull')])}\r\n`, 401],
  ] as const) {
    const connection = await openRawConnection(port)
    connection.write(head(header))
    // Not a byte of the form was sent.
    await connection.receives('}]}')
    t.equal(statusOf(connection.received()), status, what)
    connection.destroy()
  }
  t.same(upstream.requests, [])
})

t.test('a password is good for a mount that the form asks for', async (t) => {
  const access = [repositoryAccess('team/app', 'pull', 'push'), repositoryAccess('team/base', 'pull')]
  auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access })
  const headers = { 'content-type': FORM }
  const body = `mount=${DIGEST}&${own}`
  await ask(port, uploads, { method: 'POST', authorization: basic('alice', 'pw'), body, headers })
  t.equal(upstream.requests.splice(0)[0]?.url, MOUNTED)
})
