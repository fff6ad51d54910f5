import t from 'tap'
import type { Test } from 'tap'
import { directoryKinds } from './harness/directories.ts'
import { startDirectorySystem, waitForRefresh, credentialsOf } from './harness/directory-system.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { Credentials } from './harness/system.ts'
import type { TestDirectory } from './harness/test-directory.ts'

async function testChanges(t: Test, directory: TestDirectory, nested: boolean) {
  const { userDn, groupDn } = directory
  const { system, ask, create, signIn, bearer, pullStatus, refreshToken, isRefused } =
    await startDirectorySystem(t, directory, nested)
  const { admin } = system

  await t.test(
    `${nested ? 'a nested group' : 'a group'} gives a namespace until the user leaves it`,
    async (t) => {
      t.match(await create('dave', 'own'), {
        status: 201,
        body: { namespaces: ['own', 'team'], role: 'user' },
      })
      await pushSmallImage(system, credentialsOf('dave'), 'team/app', 'v1')
      const token = await bearer(credentialsOf('dave'), 'team/app')
      t.equal(await pullStatus(token, 'team/app'), 200)
      await (nested
        ? directory.removeMember('outer', groupDn('inner'))
        : directory.removeMember('outer', userDn('dave')))
      await waitForRefresh(
        t,
        'the live token is refused',
        async () => (await pullStatus(token, 'team/app')) === 401,
      )
      t.match(await ask(credentialsOf('dave'), 'GET', '/user'), { body: { namespaces: ['own'] } })
      await t.rejects(pushSmallImage(system, credentialsOf('dave'), 'team/app', 'v2'), /403/)
      await pushSmallImage(system, credentialsOf('dave'), 'own/app', 'v1')
      await directory.addMember('outer', userDn('dave'))
      await waitForRefresh(t, 'the namespace is given again', async () =>
        (await ask(credentialsOf('dave'), 'GET', '/user')).body.namespaces.includes('team'),
      )
    },
  )

  await t.test('a directory user with a mapped group gets an account at the first sign-in', async (t) => {
    t.equal(await signIn(credentialsOf('frank')), 401)
    t.match(
      await ask(credentialsOf('erin'), 'GET', '/users'),
      { status: 200 },
      'a cluster administrator may list users',
    )
    t.match(await ask(admin, 'GET', '/user?username=erin'), {
      body: { ad: true, role: 'cluster-administrator' },
    })
    t.match(await ask(admin, 'GET', '/user?username=frank'), { status: 404 })
    await directory.removeMember('bosses', userDn('erin'))
    await waitForRefresh(
      t,
      'the role is taken away',
      async () => (await ask(credentialsOf('erin'), 'GET', '/users')).status === 403,
    )
  })

  await t.test('a disabled, locked, expired or deleted directory user loses access', async (t) => {
    const ends: readonly (readonly [string, (name: string) => Promise<unknown>])[] = [
      ['gina', directory.disable],
      ['hugo', directory.expire],
      ['judy', directory.remove],
      ['ivan', (name) => lock(signIn, name, directory.lockedAfter)],
    ]
    for (const [name] of ends) t.match(await create(name, 'shared'), { status: 201 })
    await pushSmallImage(system, credentialsOf('gina'), 'shared/app', 'v1')
    const lives = await Promise.all(
      ends.map(async ([name]) => ({
        name,
        token: await bearer(credentialsOf(name), 'shared/app'),
        refresh: await refreshToken(credentialsOf(name)),
      })),
    )
    for (const { name, token, refresh } of lives) {
      t.equal(await pullStatus(token, 'shared/app'), 200, name)
      t.equal(await isRefused(refresh), false)
    }
    for (const [name, end] of ends) await end(name)
    for (const { name, token, refresh } of lives) {
      await waitForRefresh(
        t,
        `${name}'s live token is refused`,
        async () => (await pullStatus(token, 'shared/app')) === 401,
      )
      t.equal(await isRefused(refresh), true, `${name}'s refresh token is refused`)
      t.equal(await signIn(credentialsOf(name)), 401, `${name}'s password is refused`)
      t.match(await ask(admin, 'GET', `/user?username=${name}`), { body: { enabled: false } })
    }
    t.match(
      await ask(admin, 'GET', '/user?username=dave'),
      { body: { enabled: true } },
      'other users keep their access',
    )
  })
}

/** Tries wrong passwords, a new one each time, until the directory has locked the account. */
async function lock(signIn: (as: Credentials) => Promise<number>, username: string, times: number) {
  for (let count = 0; count < times; count += 1)
    await signIn({ username, password: `Wrong-password-${count}` })
}

for (const { name, missing, nested, start } of await directoryKinds()) {
  t.test(`changes in the directory take effect: ${name}`, { skip: missing }, async (t) =>
    testChanges(t, await start(t), nested),
  )
}
