import t from 'tap'
import type { Access } from '../src/access.ts'
import { holds, permits, repositoryAccess } from '../src/access.ts'

const catalog: Access = { type: 'registry', name: 'catalog', actions: ['*'] }
const of = repositoryAccess

const CASES: readonly (readonly [
  why: string,
  held: readonly Access[],
  required: Access,
  expected: { holds: boolean; permits: boolean },
])[] = [
  ['the same action', [of('a', 'pull')], of('a', 'pull'), { holds: true, permits: true }],
  ['more actions than wanted', [of('a', 'pull', 'push')], of('a', 'push'), { holds: true, permits: true }],
  ['nothing', [], of('a', 'pull'), { holds: false, permits: false }],
  ['another repository', [of('b', 'pull')], of('a', 'pull'), { holds: false, permits: false }],
  ['a repository above', [of('a', 'pull')], of('a/b', 'pull'), { holds: false, permits: false }],
  ['a repository below', [of('a/b', 'pull')], of('a', 'pull'), { holds: false, permits: false }],
  ['pull where push is wanted', [of('a', 'pull')], of('a', 'push'), { holds: false, permits: false }],
  ['push where pull is wanted', [of('a', 'push')], of('a', 'pull'), { holds: false, permits: true }],
  ['push where both are wanted', [of('a', 'push')], of('a', 'pull', 'push'), { holds: false, permits: true }],
  ['push where delete is wanted', [of('a', 'push')], of('a', 'delete'), { holds: false, permits: false }],
  ['delete where pull is wanted', [of('a', 'delete')], of('a', 'pull'), { holds: false, permits: false }],
  ['one of two wanted', [of('a', 'pull')], of('a', 'pull', 'delete'), { holds: false, permits: false }],
  [
    'the actions over two entries',
    [of('a', 'pull'), of('a', 'delete')],
    of('a', 'pull', 'delete'),
    { holds: true, permits: true },
  ],
  [
    'the actions over two repositories',
    [of('a', 'pull'), of('b', 'delete')],
    of('a', 'pull', 'delete'),
    { holds: false, permits: false },
  ],
  ['the catalog', [catalog], catalog, { holds: true, permits: true }],
  [
    'the catalog where a repository is wanted',
    [catalog],
    of('catalog', 'pull'),
    { holds: false, permits: false },
  ],
  [
    'a repository called catalog where the catalog is wanted',
    [{ type: 'repository', name: 'catalog', actions: ['*'] }],
    catalog,
    { holds: false, permits: false },
  ],
  [
    'a star, which is no action of a repository',
    [{ type: 'repository', name: 'a', actions: ['*'] }],
    of('a', 'pull'),
    { holds: false, permits: false },
  ],
  [
    'another type of the same name',
    [{ type: 'sprocket', name: 'a', actions: ['push'] }],
    of('a', 'pull'),
    { holds: false, permits: false },
  ],
]

t.test('held access against required access', async (t) => {
  for (const [why, held, required, expected] of CASES) {
    t.same({ holds: holds(held, required), permits: permits(held, required) }, expected, why)
  }
})
