import t from 'tap'
import type { Test } from 'tap'
import { directoryKinds } from './harness/directories.ts'
import { startDirectorySystem, until, who } from './harness/directory-system.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { Credentials } from './harness/system.ts'
import type { TestDirectory } from './harness/test-directory.ts'

async function testChanges(t: Test, directory: TestDirectory, nested: boolean) {
  const { personDn, groupDn } = directory
  const { system, ask, create, signIn, bearer, pullStatus, refreshToken, isRefused } =
    await startDirectorySystem(t, directory, nested)
  const { admin } = system

  await t.test(
    `${nested ? 'a group within a group' : 'a group'} gives a namespace, and takes it away`,
    async (t) => {
      t.match(await create('dave', 'own'), {
        status: 201,
        body: { namespaces: ['own', 'team'], role: 'user' },
      })
      await pushSmallImage(system, who('dave'), 'team/app', 'v1')
      const token = await bearer(who('dave'), 'team/app')
      t.equal(await pullStatus(token, 'team/app'), 200)
      await (nested
        ? directory.removeMember('outer', groupDn('inner'))
        : directory.removeMember('outer', personDn('dave')))
      await until(t, 'the live token is dead', async () => (await pullStatus(token, 'team/app')) === 401)
      t.match(await ask(who('dave'), 'GET', '/user'), { body: { namespaces: ['own'] } })
      await t.rejects(pushSmallImage(system, who('dave'), 'team/app', 'v2'), /403/)
      await pushSmallImage(system, who('dave'), 'own/app', 'v1')
      await directory.addMember('outer', personDn('dave'))
      await until(t, 'given again', async () =>
        (await ask(who('dave'), 'GET', '/user')).body.namespaces.includes('team'),
      )
    },
  )

  await t.test('an account of its own at the first sign-in, if a group gives something', async (t) => {
    t.equal(await signIn(who('frank')), 401)
    t.match(await ask(who('erin'), 'GET', '/users'), { status: 200 }, 'a boss, who may list users')
    t.match(await ask(admin, 'GET', '/user?username=erin'), {
      body: { ad: true, role: 'cluster-administrator' },
    })
    t.match(await ask(admin, 'GET', '/user?username=frank'), { status: 404 })
    await directory.removeMember('bosses', personDn('erin'))
    await until(t, 'no boss any more', async () => (await ask(who('erin'), 'GET', '/users')).status === 403)
  })

  await t.test('who is disabled, locked, expired or gone loses access', async (t) => {
    const ends: readonly (readonly [string, (name: string) => Promise<unknown>])[] = [
      ['gina', directory.disable],
      ['hugo', directory.expire],
      ['judy', directory.remove],
      ['ivan', (name) => lock(signIn, name, directory.lockedAfter)],
    ]
    for (const [name] of ends) t.match(await create(name, 'shared'), { status: 201 })
    await pushSmallImage(system, who('gina'), 'shared/app', 'v1')
    const lives = await Promise.all(
      ends.map(async ([name]) => ({
        name,
        token: await bearer(who(name), 'shared/app'),
        refresh: await refreshToken(who(name)),
      })),
    )
    for (const { name, token, refresh } of lives) {
      t.equal(await pullStatus(token, 'shared/app'), 200, name)
      t.equal(await isRefused(refresh), false)
    }
    for (const [name, end] of ends) await end(name)
    for (const { name, token, refresh } of lives) {
      await until(t, `${name}'s live token`, async () => (await pullStatus(token, 'shared/app')) === 401)
      t.equal(await isRefused(refresh), true, `${name}'s refresh token`)
      t.equal(await signIn(who(name)), 401, `${name}'s password`)
      t.match(await ask(admin, 'GET', `/user?username=${name}`), { body: { enabled: false } })
    }
    t.match(
      await ask(admin, 'GET', '/user?username=dave'),
      { body: { enabled: true } },
      'of others nothing changes',
    )
  })
}

/** Tries wrong passwords, a new one each time, until the directory has locked the account. */
async function lock(signIn: (as: Credentials) => Promise<number>, username: string, times: number) {
  for (let count = 0; count < times; count += 1)
    await signIn({ username, password: `Wrong-password-${count}` })
}

for (const { name, missing, nested, start } of await directoryKinds()) {
  t.test(name, { skip: missing }, async (t) => testChanges(t, await start(t), nested))
}
