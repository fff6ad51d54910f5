import t from 'tap'
import type { Access } from '../src/access.ts'
import { holdsExactly, permits, repositoryAccess } from '../src/access.ts'

const catalog: Access = { type: 'registry', name: 'catalog', actions: ['*'] }
const of = repositoryAccess

const CASES: readonly (readonly [
  why: string,
  held: readonly Access[],
  required: Access,
  expected: { holdsExactly: boolean; permits: boolean },
])[] = [
  ['the same action', [of('a', 'pull')], of('a', 'pull'), { holdsExactly: true, permits: true }],
  [
    'more actions than wanted',
    [of('a', 'pull', 'push')],
    of('a', 'push'),
    { holdsExactly: true, permits: true },
  ],
  ['nothing', [], of('a', 'pull'), { holdsExactly: false, permits: false }],
  ['another repository', [of('b', 'pull')], of('a', 'pull'), { holdsExactly: false, permits: false }],
  ['a repository above', [of('a', 'pull')], of('a/b', 'pull'), { holdsExactly: false, permits: false }],
  ['a repository below', [of('a/b', 'pull')], of('a', 'pull'), { holdsExactly: false, permits: false }],
  ['pull where push is wanted', [of('a', 'pull')], of('a', 'push'), { holdsExactly: false, permits: false }],
  ['push where pull is wanted', [of('a', 'push')], of('a', 'pull'), { holdsExactly: false, permits: true }],
  [
    'push where both are wanted',
    [of('a', 'push')],
    of('a', 'pull', 'push'),
    { holdsExactly: false, permits: true },
  ],
  [
    'push where delete is wanted',
    [of('a', 'push')],
    of('a', 'delete'),
    { holdsExactly: false, permits: false },
  ],
  [
    'delete where pull is wanted',
    [of('a', 'delete')],
    of('a', 'pull'),
    { holdsExactly: false, permits: false },
  ],
  [
    'one of two wanted',
    [of('a', 'pull')],
    of('a', 'pull', 'delete'),
    { holdsExactly: false, permits: false },
  ],
  [
    'the actions over two entries',
    [of('a', 'pull'), of('a', 'delete')],
    of('a', 'pull', 'delete'),
    { holdsExactly: true, permits: true },
  ],
  [
    'the actions over two repositories',
    [of('a', 'pull'), of('b', 'delete')],
    of('a', 'pull', 'delete'),
    { holdsExactly: false, permits: false },
  ],
  ['the catalog', [catalog], catalog, { holdsExactly: true, permits: true }],
  [
    'the catalog where a repository is wanted',
    [catalog],
    of('catalog', 'pull'),
    { holdsExactly: false, permits: false },
  ],
  [
    'a repository called catalog where the catalog is wanted',
    [{ type: 'repository', name: 'catalog', actions: ['*'] }],
    catalog,
    { holdsExactly: false, permits: false },
  ],
  [
    'a star, which is no action of a repository',
    [{ type: 'repository', name: 'a', actions: ['*'] }],
    of('a', 'pull'),
    { holdsExactly: false, permits: false },
  ],
  [
    'another type of the same name',
    [{ type: 'sprocket', name: 'a', actions: ['push'] }],
    of('a', 'pull'),
    { holdsExactly: false, permits: false },
  ],
]

t.test('permits() lets push include pull, holdsExactly() does not', async (t) => {
  for (const [why, held, required, expected] of CASES) {
    t.same({ holdsExactly: holdsExactly(held, required), permits: permits(held, required) }, expected, why)
  }
})
