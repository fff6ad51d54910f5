import t from 'tap'
import { repositoryAccess } from '../src/access.ts'
import { formatBearerChallenge } from '../src/challenge.ts'

const endpoint = { realm: 'https://registry.example/auth/v2/token', service: 'registry.example' }
const start = 'Bearer realm="https://registry.example/auth/v2/token",service="registry.example"'

t.test('a challenge without a scope, where any token will do', async (t) => {
  t.equal(formatBearerChallenge(endpoint), start)
  t.equal(formatBearerChallenge({ ...endpoint, required: [] }), start)
})

t.test('all access in one quoted scope, because clients keep only one of several', async (t) => {
  const required = [repositoryAccess('a', 'pull', 'push'), repositoryAccess('b/c', 'pull')]
  const challenge = formatBearerChallenge({ ...endpoint, required })
  t.equal(challenge, `${start},scope="repository:a:pull,push repository:b/c:pull"`)
  t.equal(challenge.split('scope=').length, 2)
})

t.test('an error says why the token at hand is not enough', async (t) => {
  const required = [repositoryAccess('a', 'delete')]
  t.equal(
    formatBearerChallenge({ ...endpoint, required, error: 'insufficient_scope' }),
    `${start},scope="repository:a:delete",error="insufficient_scope"`,
  )
  t.equal(formatBearerChallenge({ ...endpoint, error: 'invalid_token' }), `${start},error="invalid_token"`)
})
