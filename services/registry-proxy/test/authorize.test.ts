import type { Access, RegistryRequest } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { decide } from '../src/authorize.ts'
import { usableAccess } from '../src/required-access.ts'
import { bindUpload } from '../src/upload-binding.ts'
import { DIGEST, SHA512, requests } from './fixtures/requests.ts'

const SECRET = 'secret'
const app = (...actions: ('pull' | 'push' | 'delete')[]) => repositoryAccess('team/app', ...actions)
const pull = [app('pull')]
const push = [app('push')]
const pullPush = [app('pull', 'push')]
const CATALOG: Access = { type: 'registry', name: 'catalog', actions: ['*'] }

const bound = bindUpload(SECRET, { repository: 'team/app', id: 'upload-1', uid: 'me' })
const foreign = bindUpload(SECRET, { repository: 'team/app', id: 'upload-1', uid: 'another-account' })

const decideFor = (request: RegistryRequest, access: readonly Access[]) =>
  decide(request, { uid: 'me', access }, SECRET)

/** Requests that are forwarded: with the principal's token, or with a service token for this access. */
const FORWARDED: readonly [string, RegistryRequest, readonly Access[], readonly Access[] | undefined][] = [
  ['base, without access', requests.base(), [], undefined],
  ['pull, with pull', requests.manifest(), pull, undefined],
  ['pull of a blob, with pull', requests.blob('HEAD'), pull, undefined],
  ['pull, with push alone: push includes pull', requests.manifest(), push, pull],
  ['push, with pull and push', requests.manifest('PUT'), pullPush, undefined],
  ['push, with rights in two entries', requests.manifest('PUT'), [app('pull'), app('push')], undefined],
  ['push, with push alone', requests.manifest('PUT'), push, pullPush],
  ['upload start, with push alone', requests.uploadStart(), push, pullPush],
  ['own upload, with push alone', requests.upload('PATCH', bound), push, pullPush],
  ['status of own upload, with pull', requests.upload('GET', bound), pull, undefined],
  ['cancel own upload, with push', requests.upload('DELETE', bound), pullPush, [app('delete')]],
  [
    'cancel own upload, with delete as well',
    requests.upload('DELETE', bound),
    [app('push', 'delete')],
    undefined,
  ],
]

for (const [what, request, access, serviceAccess] of FORWARDED) {
  t.test(`a permitted request is forwarded: ${what}`, async (t) => {
    t.match(decideFor(request, access), { outcome: 'forward', serviceAccess })
  })
}

/** Requests that the access does not permit, and the access that the challenge names. */
const INSUFFICIENT: readonly [string, RegistryRequest, readonly Access[], readonly Access[]][] = [
  ['pull, with nothing', requests.manifest(), [], pull],
  ['pull, with delete alone', requests.manifest(), [app('delete')], pull],
  ['pull, with pull elsewhere', requests.manifest(), [repositoryAccess('team/app2', 'pull')], pull],
  ['pull, with pull of the namespace', requests.manifest(), [repositoryAccess('team', 'pull')], pull],
  [
    'pull, with another type',
    requests.manifest(),
    [{ type: 'registry', name: 'team/app', actions: ['pull'] }],
    pull,
  ],
  [
    'pull, with *, which is not an action on a repository',
    requests.blob(),
    [{ type: 'repository', name: 'team/app', actions: ['*'] }],
    pull,
  ],
  ['push, with pull', requests.manifest('PUT'), pull, pullPush],
  ['upload, with pull', requests.uploadStart(), pull, pullPush],
  ['delete, with pull and push', requests.manifest('DELETE'), pullPush, [app('delete')]],
  ['delete of a blob, with pull and push', requests.blob('DELETE'), pullPush, [app('delete')]],
  ['cancel own upload, with pull', requests.upload('DELETE', bound), pull, pullPush],
  ['catalog, with nothing', requests.catalog(), [], [CATALOG]],
  ['catalog, with pull somewhere', requests.catalog(), pull, [CATALOG]],
  ['tags, with nothing', requests.tags(), [], pull],
  ['referrers, with nothing', requests.referrers(), [], pull],
]

for (const [what, request, access, required] of INSUFFICIENT) {
  t.test(`a request is refused: ${what}`, async (t) => {
    t.same(decideFor(request, access), { outcome: 'insufficient', required })
  })
}

for (const method of ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE'] as const) {
  t.test(`${method} of an upload of another account is refused`, async (t) => {
    const all = [app('pull', 'push', 'delete')]
    t.same(decideFor(requests.upload(method, foreign), all), { outcome: 'foreign-upload' })
    t.same(decideFor(requests.upload(method), all), { outcome: 'foreign-upload' }, 'without a binding')
  })
}

t.test(
  'requests for lists, for deletions and for manifests by sha512 are handled by the index',
  async (t) => {
    const cases: [RegistryRequest, Access[]][] = [
      [requests.catalog(), [CATALOG]],
      [requests.tags(), pull],
      [requests.referrers(), pull],
      [requests.manifest('DELETE'), [app('delete')]],
      [requests.blob('DELETE'), [app('delete')]],
      [{ ...requests.manifest('GET'), reference: { digest: SHA512 } }, pull],
      [{ ...requests.manifest('HEAD'), reference: { digest: SHA512 } }, pull],
    ]
    for (const [request, access] of cases) {
      t.same(decideFor(request, access), { outcome: 'index', request })
    }
  },
)

t.test('usableAccess contains all access that a request could use', async (t) => {
  t.same(usableAccess(requests.base()), [])
  t.same(usableAccess(requests.catalog()), [CATALOG])
  t.same(usableAccess(requests.manifest()), [app('pull', 'push', 'delete')])
  t.same(usableAccess(requests.uploadStart('team/other')), [
    app('pull', 'push', 'delete'),
    repositoryAccess('team/other', 'pull'),
  ])
})

const into = app('pull', 'push')

const decideMount = (access: readonly Access[]) =>
  decide(requests.uploadStart('other/app'), { uid: 'me', access }, SECRET)

t.test('a mount from a repository that the principal may pull is forwarded', async (t) => {
  t.same(decideMount([into, repositoryAccess('other/app', 'pull')]), {
    outcome: 'forward',
    request: requests.uploadStart('other/app'),
    serviceAccess: undefined,
  })
})

t.test('push on the source repository of a mount includes pull', async (t) => {
  t.same(decideMount([into, repositoryAccess('other/app', 'push')]), {
    outcome: 'forward',
    request: requests.uploadStart('other/app'),
    serviceAccess: [into, repositoryAccess('other/app', 'pull')],
  })
})

t.test('a mount by a sha512 digest becomes an ordinary upload', async (t) => {
  const request = { ...requests.uploadStart('other/app'), mount: { from: 'other/app', digest: SHA512 } }
  const access = [into, repositoryAccess('other/app', 'pull')]
  t.same(decide(request, { uid: 'me', access }, SECRET), {
    outcome: 'forward',
    request: { ...request, mount: undefined },
    serviceAccess: undefined,
  })
})

const ORDINARY: readonly [string, readonly Access[]][] = [
  ['no access to the source', [into]],
  ['delete alone on the source', [into, repositoryAccess('other/app', 'delete')]],
  ['pull on a repository with a longer name', [into, repositoryAccess('other/app2', 'pull')]],
  ['pull on a repository named as its namespace', [into, repositoryAccess('other', 'pull')]],
]

for (const [what, access] of ORDINARY) {
  t.test(`with ${what} a mount becomes an ordinary upload`, async (t) => {
    t.same(decideMount(access), {
      outcome: 'forward',
      request: { ...requests.uploadStart('other/app'), mount: undefined },
      serviceAccess: undefined,
    })
  })
}

t.test('pull on the source repository alone does not permit a mount', async (t) => {
  t.same(decideMount([repositoryAccess('other/app', 'pull')]), {
    outcome: 'insufficient',
    required: [into, repositoryAccess('other/app', 'pull')],
  })
})

t.test('a push sets only tags that match the pattern of the access', async (t) => {
  const access = [app('pull'), { ...app('push'), tags: 'v*' }]
  const put = (tag: string, tags?: string[]) =>
    decideFor({ ...requests.manifest('PUT'), reference: { tag }, ...(tags && { tags }) }, access)
  t.match(put('v1'), { outcome: 'forward' })
  t.same(put('latest'), { outcome: 'tag', tag: 'latest', patterns: ['v*'] })
  const byDigest = { ...requests.manifest('PUT'), reference: { digest: DIGEST } }
  t.match(decideFor(byDigest, access), { outcome: 'forward' }, 'a manifest of an image index has no tag')
  t.match(decideFor({ ...byDigest, tags: ['v1', 'v2'] }, access), { outcome: 'forward' })
  t.match(decideFor({ ...byDigest, tags: ['v1', 'latest'] }, access), { outcome: 'tag', tag: 'latest' })
  t.match(decideFor(requests.uploadStart(), access), { outcome: 'forward' }, 'a blob has no tag')
  t.match(decideFor(requests.manifest(), access), { outcome: 'forward' }, 'every tag may be pulled')
  const twice = [...access, { ...app('push'), tags: 'latest' }]
  t.match(decideFor({ ...byDigest, tags: ['v1', 'latest'] }, twice), { outcome: 'forward' })
})

t.test('a push sets only tags that match the patterns of the grant and of the token', async (t) => {
  const access = [{ ...app('push'), tags: 'v*&*-rc' }]
  const put = (tag: string) => decideFor({ ...requests.manifest('PUT'), reference: { tag } }, access)
  t.match(put('v1-rc'), { outcome: 'forward' })
  t.strictSame(put('v1'), { outcome: 'tag', tag: 'v1', patterns: ['v* and *-rc'] })
})

t.test('access in other networks is named, and a decision by networks is bound to the address', async (t) => {
  const limited = { ...app('pull'), networks: ['10.0.0.0/8'] }
  const elsewhere = { uid: 'me', access: [], elsewhere: [limited] }
  t.same(decide(requests.manifest(), elsewhere, SECRET), { outcome: 'elsewhere', networks: ['10.0.0.0/8'] })
  t.match(decide(requests.manifest('PUT'), elsewhere, SECRET), { outcome: 'insufficient' })
  t.match(decideFor(requests.manifest(), [limited]), { outcome: 'forward', isAddressBound: true })
  t.notOk('isAddressBound' in decideFor(requests.manifest(), [limited, app('pull')]))
})
