import { randomBytes, randomInt } from 'node:crypto'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createAccounts } from '../../src/accounts/index.ts'
import { createDeviceAuthorizationsRepository } from '../../src/device-flow/device-authorizations-repository.ts'
import { createDeviceFlow } from '../../src/device-flow/device-flow.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

await onBothDatabases(t, async (t, db) => {
  const users = createAccounts(db, fakeHasher)
  const clock = { ahead: 0 }
  const made: string[] = []
  const devices = createDeviceFlow({
    ...createDeviceAuthorizationsRepository(db),
    findAccount: users.find,
    makePersonalToken: async ({ username }, name) => {
      made.push(`${username}: ${name}`)
      return `token of ${username}`
    },
    now: () => Date.now() + clock.ahead,
    randomBytes,
    randomInt: (max) => randomInt(max),
  })
  await users.create(planUser('jane'))
  const jane = async () => (await users.find('jane'))!
  const poll = async (code: string, secondsLater = 5) => {
    clock.ahead += secondsLater * 1000
    return devices.poll(code)
  }
  t.beforeEach(() => {
    clock.ahead = 0
  })

  t.test('a device gets a personal token of the person who confirms its code, once', async (t) => {
    const { deviceCode, userCode, expiresInSeconds, intervalSeconds } = await devices.begin(
      'laptop',
      '192.0.2.7',
    )
    t.strictSame([expiresInSeconds, intervalSeconds], [600, 5])
    t.strictSame(await poll(deviceCode), { outcome: 'authorization_pending' })
    t.strictSame(await devices.find(userCode.toLowerCase()), {
      userCode,
      clientName: 'laptop',
      address: '192.0.2.7',
    })
    t.equal(await devices.decide(userCode, await jane()), true)
    t.equal(await devices.find(userCode), undefined, 'nobody can decide again')
    t.equal(await devices.decide(userCode, undefined), false)
    const [one, two] = await Promise.all([devices.poll(deviceCode), devices.poll(deviceCode)])
    const outcomes = [one.outcome, two.outcome].toSorted()
    t.strictSame(outcomes, ['invalid_grant', 'issued'], 'two requests at once get one token')
    const issued = one.outcome === 'issued' ? one : two
    t.match(issued, {
      credentials: { username: 'jane', password: 'token of jane', expiresInSeconds: 43_200 },
    })
    t.strictSame(made, [`jane: laptop-${userCode}`])
  })

  t.test('a device that polls too often gets slow_down, and must then wait for longer', async (t) => {
    const { deviceCode } = await devices.begin('', '192.0.2.7')
    t.match(await poll(deviceCode), { outcome: 'authorization_pending' })
    t.match(await poll(deviceCode, 1), { outcome: 'slow_down' })
    t.match(await poll(deviceCode, 5), { outcome: 'slow_down' })
    t.match(await poll(deviceCode, 15), { outcome: 'authorization_pending' })
  })

  t.test('a refused, an expired and an unknown code yield no token', async (t) => {
    const refused = await devices.begin('x', '192.0.2.7')
    t.equal(await devices.decide(refused.userCode, undefined), true)
    t.match(await poll(refused.deviceCode), { outcome: 'access_denied' })
    const late = await devices.begin('x', '192.0.2.7')
    clock.ahead += 600_000
    t.equal(await devices.find(late.userCode), undefined)
    t.equal(await devices.decide(late.userCode, await jane()), false)
    t.match(await poll(late.deviceCode), { outcome: 'expired_token' })
    for (const code of ['', 'x', late.userCode]) t.match(await poll(code), { outcome: 'invalid_grant' })
  })

  t.test('a change that revokes tokens also ends the confirmation of a device', async (t) => {
    for (const change of [() => users.endSessions('jane'), () => users.change('jane', { enabled: false })]) {
      const { deviceCode, userCode } = await devices.begin('x', '192.0.2.7')
      t.equal(await devices.decide(userCode, await jane()), true)
      await change()
      t.match(await poll(deviceCode), { outcome: 'access_denied' })
    }
  })

  t.test('only a hash of the device code is stored, and a name has no markup', async (t) => {
    const { deviceCode, userCode } = await devices.begin(`<b>lap\ntop</b>${'x'.repeat(99)}`, '192.0.2.7')
    t.match(deviceCode, /^[\w-]{43}$/)
    const rows = await db.selectFrom('device_authorizations').selectAll().execute()
    t.notOk(rows.some(({ device_code_hash: hash }) => hash.equals(Buffer.from(deviceCode, 'base64url'))))
    const { clientName = '' } = (await devices.find(userCode)) ?? {}
    t.match(clientName, /^blaptopbx+$/)
    t.equal(clientName.length, 60)
  })
})
