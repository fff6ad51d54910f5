import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { directoryKinds } from './harness/directories.ts'
import { createDockerConfig, dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { createImage } from './harness/images.ts'
import { runCommand } from './harness/run-command.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { Credentials, System } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'
import type { TestDirectory } from './harness/test-directory.ts'
import { settingsFor } from './harness/test-directory.ts'

const REFRESH_SECONDS = 5
const noDocker = await dockerIsMissing()

const who = (username: string): Credentials => ({ username, password: `Password-of-${username}-1` })
const PEOPLE = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'gina', 'hugo', 'ivan', 'judy']
const NOT_NAMES = [
  '*',
  'ali*',
  ')(uid=*',
  'alice)(uid=*',
  '\\',
  'alice\\',
  'alice\0',
  '\0',
  'älice',
  'a,b',
  '',
]

/** What is answered of a user, or a problem instead. */
interface User {
  readonly namespaces: readonly string[]
}

function usersApi(system: System) {
  const ask = async (
    as: Credentials,
    method: string,
    path: string,
    parameters: Record<string, string> = {},
    left = 10,
  ): Promise<{ status: number; body: User }> => {
    const response = await fetch(`${system.url}${path}`, {
      method,
      headers: { authorization: basic(as), 'content-type': 'application/x-www-form-urlencoded' },
      ...(method === 'GET' ? {} : { body: new URLSearchParams(parameters).toString() }),
    })
    const text = await response.text()
    if (response.status !== 503 || left === 0) {
      return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as User }
    }
    // The directory is there, but the machine may be very busy.
    await sleep(1000)
    return ask(as, method, path, parameters, left - 1)
  }
  return ask
}

/** Status of a pull, of an image that may not even be there: 401 is a refusal, whatever the image. */
async function pullStatus(system: System, authorization: string, image: string): Promise<number> {
  const response = await fetch(`${system.url}/v2/${image}/manifests/v1`, { headers: { authorization } })
  await response.body?.cancel()
  return response.status
}

/** Waits for what the directory's news must bring about; fails when it takes longer than it may. */
async function until(t: Test, what: string, isSo: () => Promise<boolean>): Promise<void> {
  const begun = Date.now()
  while (!(await isSo())) {
    // The proxies hear of it within a second more; the rest is for a machine that is busy.
    if (Date.now() - begun > (REFRESH_SECONDS + 5) * 1000) return void t.fail(what)
    await sleep(100)
  }
  t.pass(`${what}: after ${((Date.now() - begun) / 1000).toFixed(1)} s`)
}

async function testAccounts(t: Test, directory: TestDirectory, nested: boolean) {
  const { personDn, groupDn } = directory
  await directory.addUsers(Object.fromEntries(PEOPLE.map((name) => [name, who(name).password])))
  await directory.addGroup('inner', [personDn('dave')])
  await directory.addGroup('outer', [nested ? groupDn('inner') : personDn('dave')])
  await directory.addGroup('bosses', [personDn('erin')])
  const env = {
    ...settingsFor(directory),
    DIRECTORY_GROUP_MAP: JSON.stringify({
      [groupDn('outer')]: { namespaces: ['team'] },
      [groupDn('bosses')]: { role: 'cluster-administrator' },
    }),
    DIRECTORY_AUTO_CREATE: 'true',
    DIRECTORY_REFRESH_SECONDS: String(REFRESH_SECONDS),
  }
  const system = await startSystem(t, { env })
  const { admin } = system
  const ask = usersApi(system)
  const create = (username: string, namespaces = '') =>
    ask(admin, 'POST', '/user', { username, ad: 'true', namespaces })
  const signIn = async (as: Credentials) => (await ask(as, 'GET', '/user')).status
  const bearer = async (as: Credentials, image: string) =>
    `Bearer ${await tokenFor(system, as, `repository:${image}:pull,push`)}`
  const refreshToken = async ({ username, password }: Credentials) => {
    const form = { grant_type: 'password', service: system.host, client_id: 'test', username, password }
    const body = new URLSearchParams({ ...form, access_type: 'offline' })
    const response = await fetch(`${system.url}/auth/v2/token`, { method: 'POST', body })
    return ((await response.json()) as { refresh_token: string }).refresh_token
  }
  const isRefused = async (refresh_token: string) => {
    const form = { grant_type: 'refresh_token', service: system.host, client_id: 'test', refresh_token }
    const response = await fetch(`${system.url}/auth/v2/token`, {
      method: 'POST',
      body: new URLSearchParams(form),
    })
    await response.body?.cancel()
    return response.status === 401
  }

  await t.test('made only if the directory knows them', async (t) => {
    const made = await ask(admin, 'POST', '/user', {
      username: 'Alice',
      ad: 'true',
      password: 'ignored',
      namespaces: 'a',
    })
    t.match(made, { status: 201, body: { username: 'alice', ad: true, enabled: true, namespaces: ['a'] } })
    t.notMatch(
      JSON.stringify(made.body),
      /password|CN=|uid=/,
      'neither a password nor where they are comes back',
    )
    t.match(await create('nobody'), {
      status: 400,
      body: { field: 'username', detail: /not in the directory/ },
    })
    t.match(await create('alice'), { status: 409 })
    t.match(await ask(who('alice'), 'GET', '/user'), { status: 200, body: { username: 'alice', ad: true } })
    t.equal(await signIn({ username: 'alice', password: 'ignored' }), 401)
    t.equal(await signIn({ ...who('alice'), username: 'ALICE' }), 200)
  })

  await t.test('their password is changed in the directory, and there alone', async (t) => {
    t.match(await ask(who('alice'), 'POST', '/user/password', { password: 'another-password' }), {
      status: 409,
    })
    const byAdmin = await ask(admin, 'POST', '/user/password', {
      username: 'alice',
      password: 'another-password',
    })
    t.match(byAdmin, { status: 409, body: { detail: /change it there/ } })
    await directory.setPassword('alice', 'New-password-of-alice-1')
    t.equal(await signIn({ username: 'alice', password: 'New-password-of-alice-1' }), 200)
    await directory.setPassword('alice', who('alice').password)
  })

  await t.test('a local user of the same name wins', async (t) => {
    t.match(await ask(admin, 'POST', '/user', { username: 'bob', password: 'local-password' }), {
      status: 201,
    })
    t.equal(await signIn({ username: 'bob', password: 'local-password' }), 200)
    t.equal(await signIn(who('bob')), 401)
    t.match(await ask(admin, 'PATCH', '/user', { username: 'bob', ad: 'true' }), {
      status: 200,
      body: { ad: true },
    })
    t.equal(
      await signIn({ username: 'bob', password: 'local-password' }),
      401,
      'until they become one of the directory',
    )
    t.equal(await signIn(who('bob')), 200)
    t.match(await ask(admin, 'PATCH', '/user', { username: 'bob', ad: 'false' }), { status: 400 })
    t.match(await ask(admin, 'PATCH', '/user', { username: 'bob', ad: 'false', password: 'local-again' }), {
      status: 200,
    })
    t.equal(await signIn(who('bob')), 401)
    t.equal(await signIn({ username: 'bob', password: 'local-again' }), 200)
    const local = { username: 'only-local', password: 'local-password' }
    t.match(await ask(admin, 'POST', '/user', local), { status: 201 })
    t.match(await ask(admin, 'PATCH', '/user', { username: 'only-local', ad: 'true' }), { status: 400 })
    t.equal(await signIn(local), 200, 'who is not in it stays local')
  })

  await t.test('docker login and push', { skip: noDocker }, async (t) => {
    const engine = await startDockerEngine(t)
    const folder = await mkdtemp(join(tmpdir(), 'directory-docker-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    await createImage(join(folder, 'image'), { seed: 'directory', layers: 1, layerBytes: 1000 })
    await runCommand('tar', ['-cf', join(folder, 'image.tar'), '-C', join(folder, 'image'), '.'])
    const { stdout } = await engine.docker(['load', '--input', join(folder, 'image.tar')])
    const id = /sha256:[0-9a-f]+|Loaded image: (\S+)/.exec(stdout)
    const env = { DOCKER_CONFIG: await createDockerConfig(join(folder, 'config')) }
    const login = (password: string) =>
      engine.docker(['login', '--username', 'alice', '--password-stdin', system.host], {
        env,
        input: password,
      })
    await t.rejects(login('Wrong-password-1'), { code: 1, stderr: /unauthorized|incorrect|wrong/i })
    await login(who('alice').password)
    const stored = await readFile(join(env.DOCKER_CONFIG, 'config.json'), 'utf8')
    t.match(JSON.parse(stored).auths[system.host].identitytoken, /^rmr_/)
    t.notOk(stored.includes(btoa(`alice:${who('alice').password}`)))
    for (const [target, allowed] of [
      ['a/app:1', true],
      ['team/app:1', false],
    ] as const) {
      await engine.docker(['tag', id?.[1] ?? id?.[0] ?? '', `${system.host}/${target}`])
      const push = engine.docker(['push', `${system.host}/${target}`], { env })
      if (allowed) t.match((await push).stdout, /digest: sha256:/, target)
      else await t.rejects(push, { code: 1, stderr: /denied|unauthorized/ }, target)
    }
  })

  await t.test('names with meaning in filters are nobody’s', async (t) => {
    for (const username of NOT_NAMES) {
      t.equal(await signIn({ username, password: who('alice').password }), 401, JSON.stringify(username))
      t.match(await create(username), { status: 400, body: { field: 'username' } })
    }
  })

  await t.test(
    `${nested ? 'a group within a group' : 'a group'} gives a namespace, and takes it away`,
    async (t) => {
      t.match(await create('dave', 'own'), {
        status: 201,
        body: { namespaces: ['own', 'team'], role: 'user' },
      })
      await pushSmallImage(system, who('dave'), 'team/app', 'v1')
      const token = await bearer(who('dave'), 'team/app')
      t.equal(await pullStatus(system, token, 'team/app'), 200)
      await (nested
        ? directory.removeMember('outer', groupDn('inner'))
        : directory.removeMember('outer', personDn('dave')))
      await until(
        t,
        'the live token is dead',
        async () => (await pullStatus(system, token, 'team/app')) === 401,
      )
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
      t.equal(await pullStatus(system, token, 'shared/app'), 200, name)
      t.equal(await isRefused(refresh), false)
    }
    for (const [name, end] of ends) await end(name)
    for (const { name, token, refresh } of lives) {
      await until(
        t,
        `${name}'s live token`,
        async () => (await pullStatus(system, token, 'shared/app')) === 401,
      )
      t.equal(await isRefused(refresh), true, `${name}'s refresh token`)
      t.equal(await signIn(who(name)), 401, `${name}'s password`)
      t.match(await ask(admin, 'GET', `/user?username=${name}`), { body: { enabled: false } })
    }
    t.match(
      await ask(admin, 'GET', '/user?username=alice'),
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
  t.test(name, { skip: missing }, async (t) => testAccounts(t, await start(t), nested))
}
