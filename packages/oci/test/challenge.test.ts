import t from 'tap'
import { repositoryAccess } from '../src/access.ts'
import { formatBearerChallenge } from '../src/challenge.ts'

const endpoint = { realm: 'https://registry.example/auth/v2/token', service: 'registry.example' }
const start = 'Bearer realm="https://registry.example/auth/v2/token",service="registry.example"'

t.test('a challenge has no scope where any valid token is enough', async (t) => {
  t.equal(formatBearerChallenge(endpoint), start)
  t.equal(formatBearerChallenge({ ...endpoint, required: [] }), start)
})

t.test('a challenge has one scope parameter for all access, because clients use only one', async (t) => {
  const required = [repositoryAccess('a', 'pull', 'push'), repositoryAccess('b/c', 'pull')]
  const challenge = formatBearerChallenge({ ...endpoint, required })
  t.equal(challenge, `${start},scope="repository:a:pull,push repository:b/c:pull"`)
  t.equal(challenge.split('scope=').length, 2)
})

t.test('a challenge has the error of the token that was sent', async (t) => {
  const required = [repositoryAccess('a', 'delete')]
  t.equal(
    formatBearerChallenge({ ...endpoint, required, error: 'insufficient_scope' }),
    `${start},scope="repository:a:delete",error="insufficient_scope"`,
  )
  t.equal(formatBearerChallenge({ ...endpoint, error: 'invalid_token' }), `${start},error="invalid_token"`)
})
