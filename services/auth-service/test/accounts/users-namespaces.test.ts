import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { claimsOf, startAuthService } from '../fixtures/auth-service.ts'

const { ask } = await startAuthService(t, await pgliteForTest(t))

t.test('a namespace of several components covers the repository of the same name', async (t) => {
  await ask({
    method: 'POST',
    url: '/user',
    form: { username: 'nested', password: 'a-good-password' },
    as: 'root',
  })
  const form = { username: 'nested', namespaces: 'team1/app' }
  t.equal((await ask({ method: 'PATCH', url: '/user', form, as: 'root' })).statusCode, 200)
  const names = ['team1/app', 'team1/app/x', 'team1', 'team1/other']
  const url = `/auth/v2/token?scope=${names.map((name) => `repository:${name}:pull`).join('+')}`
  const { token } = (await ask({ url, as: 'nested', password: 'a-good-password' })).json()
  t.strictSame(
    claimsOf(token).access?.map(({ name }) => name),
    ['team1/app', 'team1/app/x'],
  )
})

t.test('a namespace that cannot contain a repository is refused', async (t) => {
  for (const bad of ['team1/', 'a'.repeat(254), 'team1/*']) {
    const form = { username: 'alice', namespaces: `team,${bad}` }
    for (const [method, url] of [
      ['PATCH', '/user'],
      ['POST', '/user/namespaces'],
    ] as const) {
      const response = await ask({ method, url, form, as: 'root' })
      t.match(response.json(), {
        status: 400,
        field: 'namespaces.1',
        detail: 'namespaces.1 must be repository path components, such as team or team/app',
      })
    }
  }
})
