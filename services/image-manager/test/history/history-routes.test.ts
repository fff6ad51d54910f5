import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { SERVICE_CREDENTIAL } from '../fixtures/fake-auth-service.ts'
import type { Question } from '../fixtures/image-manager.ts'
import { BASE, startImageManager } from '../fixtures/image-manager.ts'
import { MANIFEST, image } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const { askFor, internalApp, registry, token, personalToken, fill } = await startImageManager(t)
const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]

/** The context of a request that robot sends to registry-proxy. */
const principal = { kind: 'registry-token', id: 'robot', name: 'robot' }
const context = Buffer.from(JSON.stringify({ requestId: 'r', address: null, principal })).toString(
  'base64url',
)

const send = (method: 'POST', url: string, payload?: Buffer) => {
  const headers = {
    authorization: `Bearer ${SERVICE_CREDENTIAL}`,
    'x-request-context': context,
    ...(payload && { 'content-type': 'application/octet-stream' }),
  }
  return internalApp.inject({ method, url, headers, ...(payload && { payload }) })
}
const push = async (raw: Buffer, repository: string, tag: string) => {
  const query = new URLSearchParams({ repository, reference: tag, type: MANIFEST })
  const { id } = (await send('POST', `/internal/admissions?${query}`, raw)).json()
  registry.push(raw, MANIFEST, tag, repository)
  await send('POST', `/internal/admissions/${id}/record`)
}
const BY = { kind: 'registry-token', name: 'robot' }
const url = (repository: string, tag: string, what: string) =>
  `${BASE}/repositories/${encodeURIComponent(repository)}/tags/${tag}/${what}`
const history = (asked: Question, query = '', repository = 'lab/tool') =>
  askFor(url(repository, 'v1', `history${query}`), asked)
const restore = (body: unknown, asked: Question, tag = 'v1', repository = 'lab/tool') =>
  askFor(url(repository, tag, 'restore'), {
    method: 'POST',
    payload: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
    ...asked,
  })

t.before(async () => {
  await fill({})
  await push(ONE, 'lab/tool', 'v1')
  await push(TWO, 'lab/tool', 'v1')
})

t.test(
  'the history of a tag is read in pages by those who may pull; names are for those who may push',
  async (t) => {
    const { items, next } = (await history({ as: 'otto' })).json()
    t.equal(next, null)
    t.match(items, [
      { digest: two, previous: one, endedAt: null, endedBy: null, restorable: true },
      { digest: one, previous: null, startedBy: BY, endedBy: BY, restorable: true },
    ])
    t.equal(items[1].endedAt, items[0].startedAt)
    const first = (await history({ as: 'otto' }, '?limit=1')).json()
    t.strictSame(first.items, items.slice(0, 1))
    const second = (await history({ as: 'otto' }, `?limit=1&after=${first.next}`)).json()
    t.strictSame([second.items, second.next], [items.slice(1), null])
    const ofReader = await history({ as: 'olga' })
    t.equal(ofReader.statusCode, 200, 'every administrator sees all repositories here')
    t.match(ofReader.json().items, [
      { digest: two, startedBy: null },
      { digest: one, startedBy: null, endedBy: null },
    ])
  },
)

t.test(
  'principals without a right to the repository get the same response as for a tag that does not exist',
  async (t) => {
    const cases: readonly (readonly [status: number, Question, repository?: string])[] = [
      [401, {}],
      [404, { as: 'alice' }],
      [404, { as: 'otto' }, 'lab/none'],
      [404, { as: 'robot' }],
      [400, { as: 'otto' }, 'Lab'],
    ]
    for (const [status, asked, repository] of cases) {
      t.equal((await history(asked, '', repository)).statusCode, status, JSON.stringify([asked, repository]))
      t.equal((await restore({ digest: one }, asked, 'v1', repository)).statusCode, status)
    }
    t.equal((await askFor(url('lab/tool', 'v2', 'history'), { as: 'otto' })).statusCode, 404)
    for (const query of ['?limit=0', '?limit=201', '?after=x'])
      t.equal((await history({ as: 'otto' }, query)).statusCode, 400, query)
  },
)

t.test('only those who may push the tag restore it, and not with the access of a single token', async (t) => {
  for (const [asked, detail] of [
    [{ as: 'olga' }, /may not push the tag v1 to lab\/tool/],
    [{ bearer: personalToken('otto', null) }, /may not push the tag v1/],
    [
      { bearer: token('otto', [repositoryAccess('lab/tool', 'push')]) },
      /needs a password, or an identity token/,
    ],
  ] as const) {
    const refused = await restore({ digest: one }, asked)
    t.equal(refused.statusCode, 403)
    t.match(refused.json().detail, detail)
  }
  t.equal(registry.repositories.get('lab/tool')?.tags.get('v1'), two)
})

t.test('a tag is restored by a digest or by a time', async (t) => {
  const restored = await restore({ digest: one }, { as: 'otto' })
  t.strictSame([restored.statusCode, restored.json()], [200, { tag: 'v1', digest: one }])
  t.equal(registry.repositories.get('lab/tool')?.tags.get('v1'), one)
  t.match((await history({ as: 'otto' })).json().items, [
    { digest: one, previous: two, startedBy: { kind: 'user' } },
    { digest: two },
    { digest: one },
  ])
  const again = await restore({ at: new Date(Date.now() + 60_000).toISOString() }, { as: 'root' })
  t.strictSame(again.json(), { tag: 'v1', digest: one }, 'what it names now')
  for (const [body, status, detail] of [
    [{}, 400, /exactly one of the fields at and digest/],
    [{ at: '2027-01-01T00:00:00Z', digest: one }, 400, /exactly one of the fields at and digest/],
    [{ at: 'yesterday' }, 400, /at/],
    [{ digest: 'sha256:1' }, 400, /must be a digest such as sha256/],
    [
      { at: '2001-01-01T00:00:00Z' },
      404,
      /^the history of the tag v1 in lab\/tool has no entry for the time 2001-01-01T00:00:00Z$/,
    ],
    [{ digest: digestOf(image('three')) }, 404, /has no entry for the digest sha256:/],
  ] as const) {
    const refused = await restore(body, { as: 'otto' })
    t.equal(refused.statusCode, status, JSON.stringify(body))
    t.match(refused.json().detail, detail)
  }
  registry.repositories.get('lab/tool')?.manifests.delete(two)
  await internalApp.inject({
    method: 'DELETE',
    url: `/internal/manifests?repository=lab/tool&reference=${two}`,
    headers: { authorization: `Bearer ${SERVICE_CREDENTIAL}` },
  })
  const gone = await restore({ digest: two }, { as: 'otto' })
  t.equal(gone.statusCode, 409)
  t.match(gone.json().detail, /the manifest sha256:.* is no longer in lab\/tool; push it again/)
})
