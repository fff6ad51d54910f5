import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { FRESH_MS } from '../../src/access-tokens/revocation-list.ts'
import { claimsOf } from '../fixtures/auth-service.ts'
import { startReplicas } from '../fixtures/replicas.ts'
import { managePersonalTokens } from '../fixtures/personal-tokens.ts'

const ADDRESS = '192.0.2.1'
const REPLICAS = [0, 1]

t.test(
  'a change of an account ends its cached credentials on every replica within two seconds',
  async (t) => {
    const service = await startReplicas(t, REPLICAS.length)
    if (service === undefined) return
    const { db, users, signIn } = service
    const names = ['password', 'disabled', 'deleted', 'rights', 'unchanged']
    await service.createUsers(names)
    const enter = async (username: string, password?: string) => {
      const responses = REPLICAS.map((replica) => signIn(ADDRESS, username, password, replica))
      return (await Promise.all(responses)).map(({ status, body }) =>
        status === 200 ? claimsOf(JSON.parse(body).token).gen : status,
      )
    }
    for (const name of names) t.strictSame(await enter(name), [1, 1], name)
    const personalTokens = managePersonalTokens(db, users)
    const tokens: Record<string, string> = {}
    for (const name of names) {
      tokens[name] = (await personalTokens.make(name)).password
      t.strictSame(await enter(name, tokens[name]), [1, 1], `the personal token of ${name}`)
    }

    // This process is another replica: the services learn of the changes by their polls only.
    await users.change('password', { password: 'another-password' })
    await users.change('disabled', { enabled: false })
    await users.delete('deleted')
    await users.change('rights', { namespaces: ['team'] })
    await sleep(FRESH_MS)
    t.strictSame(await enter('password'), [401, 401], 'the old password')
    t.strictSame(await enter('password', 'another-password'), [2, 2], 'the new password')
    t.strictSame(await enter('disabled'), [401, 401], 'a disabled account')
    t.strictSame(await enter('deleted'), [401, 401], 'a deleted account')
    t.strictSame(await enter('rights'), [2, 2], 'an account with other rights')
    t.strictSame(await enter('unchanged'), [1, 1])
    t.strictSame(
      await enter('password', tokens['password']),
      [2, 2],
      'a personal token, after a new password',
    )
    t.strictSame(
      await enter('disabled', tokens['disabled']),
      [401, 401],
      'a personal token of a disabled account',
    )
    t.strictSame(
      await enter('deleted', tokens['deleted']),
      [401, 401],
      'a personal token of a deleted account',
    )
    t.strictSame(
      await enter('rights', tokens['rights']),
      [2, 2],
      'a personal token of an account with other rights',
    )
    t.strictSame(await enter('unchanged', tokens['unchanged']), [1, 1])
    await personalTokens.deleteAll('unchanged')
    await sleep(FRESH_MS)
    t.strictSame(await enter('unchanged', tokens['unchanged']), [401, 401], 'a deleted personal token')
    t.strictSame(await enter('unchanged'), [1, 1], 'its owner is unchanged')
  },
)
