import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { SERVICE_CREDENTIAL, claimsOf, startAuthService } from '../fixtures/auth-service.ts'
import { startFakeImageManager } from '../fixtures/fake-image-manager.ts'

const imageManager = await startFakeImageManager(t)
const { questions } = imageManager
const { ask, clock } = await startAuthService(t, await pgliteForTest(t), {
  imageManagerUrl: imageManager.url,
})
const accessOf = async (scope: string, as: string) => {
  const response = await ask({ url: `/auth/v2/token?${new URLSearchParams({ scope })}`, as })
  return claimsOf(response.json().token).access
}

t.test('every signed-in user may pull a global repository', async (t) => {
  const pull = [{ type: 'repository', name: 'shared/app', actions: ['pull'] }]
  for (const as of ['alice', 'olga'])
    t.strictSame(await accessOf('repository:shared/app:pull,push', as), pull, as)
  t.strictSame(await accessOf('repository:shared/app:push', 'alice'), [])
  t.strictSame(await accessOf('repository:other/app:pull', 'alice'), [])
  t.strictSame(questions[0], {
    authorization: `Bearer ${SERVICE_CREDENTIAL}`,
    url: '/internal/scopes',
    names: ['shared/app'],
  })
  t.equal(
    (await ask({ url: '/auth/v2/token?scope=repository:shared/app:pull' })).statusCode,
    401,
    'a client without credentials may not',
  )
})

t.test("image-manager is not called for repositories that the user's own rights cover", async (t) => {
  questions.length = 0
  await accessOf('repository:team/app:pull registry:catalog:*', 'alice')
  await accessOf('repository:other/app:pull repository:app:pull', 'root')
  t.same(questions, [])
})

t.test(
  'without image-manager access tokens are issued with the last known global repositories',
  async (t) => {
    const scope = 'repository:shared/app:pull repository:shared/new:pull repository:team/app:pull'
    const pull = (name: string) => ({ type: 'repository', name, actions: ['pull'] })
    clock.ahead += 10_000
    imageManager.close()
    t.strictSame(await accessOf(scope, 'alice'), [pull('shared/app'), pull('team/app')])
    clock.ahead += 900_000
    t.strictSame(await accessOf(scope, 'alice'), [pull('team/app')], 'until the grace ends')
  },
)
