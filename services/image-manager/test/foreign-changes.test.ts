import t from 'tap'
import { startImageManager } from './fixtures/image-manager.ts'

const { ask, fill, token } = await startImageManager(t)

const FOREIGN: readonly Record<string, string>[] = [
  { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
  { origin: 'null' },
  { 'sec-fetch-site': 'same-site' },
]
const shared = { method: 'PUT', payload: '{"scope":"global"}' } as const

t.test('a browser page of another origin can neither share nor delete a repository', async (t) => {
  await fill({ 'team/app': 'namespace' })
  for (const headers of FOREIGN) {
    t.equal((await ask('/team/app', { ...shared, as: 'root', headers })).statusCode, 403)
    t.equal((await ask('/team/app', { method: 'DELETE', as: 'root', headers })).statusCode, 403)
    const bearer = token('root', null)
    t.equal(
      (await ask('/team/app', { method: 'DELETE', bearer, headers })).statusCode,
      403,
      'an access token makes no difference',
    )
  }
  t.match((await ask('/team/app', { as: 'root' })).json(), { name: 'team/app', scope: 'namespace' })
})

t.test(
  'a browser page of the public origin and a program that is not a browser can change a repository',
  async (t) => {
    await fill({ 'team/app': 'namespace', 'team/other': 'namespace' })
    const headers = { origin: 'https://registry.test', 'sec-fetch-site': 'same-origin' }
    t.equal((await ask('/team/app', { ...shared, as: 'root', headers })).statusCode, 200)
    t.equal((await ask('/team/other', { ...shared, as: 'root' })).statusCode, 200)
  },
)
