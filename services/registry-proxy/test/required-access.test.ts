import type { Access, RegistryRequest } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { accessCheckedUpstream, requiredAccess } from '../src/required-access.ts'
import { requests } from './fixtures/requests.ts'

const CATALOG: Access = { type: 'registry', name: 'catalog', actions: ['*'] }
const app = (...actions: ('pull' | 'push' | 'delete')[]) => repositoryAccess('team/app', ...actions)
const other = repositoryAccess('team/other', 'pull')

/** The access that the principal needs, and the access that distribution requires in the token. */
const CASES: readonly [RegistryRequest, readonly Access[], readonly Access[]][] = [
  [requests.base('GET'), [], []],
  [requests.base('HEAD'), [], []],
  [requests.catalog('GET'), [CATALOG], [CATALOG]],
  [requests.catalog('HEAD'), [CATALOG], [CATALOG]],
  [requests.tags('GET'), [app('pull')], [app('pull')]],
  [requests.tags('HEAD'), [app('pull')], [app('pull')]],
  [requests.referrers('GET'), [app('pull')], [app('pull')]],
  [requests.referrers('HEAD'), [app('pull')], [app('pull')]],
  [requests.manifest('GET'), [app('pull')], [app('pull')]],
  [requests.manifest('HEAD'), [app('pull')], [app('pull')]],
  [requests.manifest('PUT'), [app('push')], [app('pull', 'push')]],
  [requests.manifest('DELETE'), [app('delete')], [app('delete')]],
  [requests.blob('GET'), [app('pull')], [app('pull')]],
  [requests.blob('HEAD'), [app('pull')], [app('pull')]],
  [requests.blob('DELETE'), [app('delete')], [app('delete')]],
  [requests.uploadStart(), [app('push')], [app('pull', 'push')]],
  [requests.uploadStart('team/other'), [app('push')], [app('pull', 'push'), other]],
  [requests.upload('GET'), [app('pull')], [app('pull')]],
  [requests.upload('HEAD'), [app('pull')], [app('pull')]],
  [requests.upload('PATCH'), [app('push')], [app('pull', 'push')]],
  [requests.upload('PUT'), [app('push')], [app('pull', 'push')]],
  [requests.upload('DELETE'), [app('push')], [app('delete')]],
]

for (const [request, required, checkedUpstream] of CASES) {
  const mount = request.kind === 'upload-start' && request.mount !== undefined ? ' with a mount' : ''
  t.test(`the access for ${request.method} ${request.kind}${mount}`, async (t) => {
    t.same(requiredAccess(request), required, 'the principal needs')
    t.same(accessCheckedUpstream(request), checkedUpstream, 'distribution requires')
  })
}
