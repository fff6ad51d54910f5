import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { sendRaw, statusOf } from './fixtures/raw-connection.ts'
import { DIGEST, OTHER_DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const path = '/v2/team/app/blobs/uploads/u1'
const binding = `_binding=${bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })}`
const digest = `digest=${encodeURIComponent(DIGEST)}`

const put = (query: string) =>
  sendRaw(
    port,
    `PUT ${path}?${query} HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n` +
      `Authorization: ${authorization}\r\nContent-Length: 0\r\n\r\n`,
  )

/** The client's query, and the query that the registry gets. */
const REBUILT: readonly [string, string, string][] = [
  ['only the needed parameters', `${binding}&${digest}`, digest],
  ['parameters in any order', `${digest}&_state=s&${binding}`, `_state=s&${digest}`],
  [
    'escaped line breaks stay escaped',
    `_state=a%0d%0aX-Injected:%20b&${binding}&${digest}`,
    `_state=a%0D%0AX-Injected%3A+b&${digest}`,
  ],
  ['an escaped NUL stays escaped', `_state=a%00b&${binding}&${digest}`, `_state=a%00b&${digest}`],
  [
    'escaped separators stay escaped',
    `_state=a%26digest%3Dx%23&${binding}&${digest}`,
    `_state=a%26digest%3Dx%23&${digest}`,
  ],
  [
    'the first of a repeated parameter counts',
    `${digest}&digest=${OTHER_DIGEST}&_state=1&_state=2&${binding}`,
    `_state=1&${digest}`,
  ],
  ['an escaped name is decoded', `%64igest=${DIGEST}&digest=${OTHER_DIGEST}&${binding}`, digest],
  ['names are case-sensitive', `${digest}&Digest=${OTHER_DIGEST}&_STATE=x&${binding}`, digest],
  ['unknown parameters are dropped', `${binding}&${digest}&from=other/app&mount=${DIGEST}&n=1&x`, digest],
  ['a semicolon does not separate parameters', `${binding}&${digest}&x=1;_state=2`, digest],
  ['a fragment is part of the last value', `${binding}&${digest}&_state=s#f`, `_state=s%23f&${digest}`],
  ['bytes outside of UTF-8 are replaced', `${binding}&${digest}&_state=%ff`, `_state=%EF%BF%BD&${digest}`],
]

for (const [what, query, expected] of REBUILT) {
  t.test(`the query of an upload is rebuilt: ${what}`, async (t) => {
    t.equal(statusOf(await put(query)), 200)
    const { url } = upstream.only()
    upstream.requests.length = 0
    t.equal(url.slice(0, url.indexOf('?')), path)
    const sent = [...new URLSearchParams(url.slice(url.indexOf('?')))].toSorted()
    t.same(sent, [...new URLSearchParams(expected)].toSorted())
    t.notMatch(url, /[\s\0#]|_binding/)
  })
}

const REFUSED: readonly [string, string, number][] = [
  ['without a digest', binding, 400],
  ['with an invalid digest', `${binding}&digest=sha256:../../x`, 400],
  ['with a digest in capitals', `${binding}&digest=${DIGEST.toUpperCase()}`, 400],
  ['with an empty digest before the good one', `${binding}&digest=&${digest}`, 400],
  ['with a semicolon after the digest', `${binding}&${digest};x`, 400],
  ['with another binding first', `_binding=x&${binding}&${digest}`, 404],
]

for (const [what, query, status] of REFUSED) {
  t.test(`the closing PUT of an upload is refused: ${what}`, async (t) => {
    t.equal(statusOf(await put(query)), status)
    t.same(upstream.requests, [])
  })
}
