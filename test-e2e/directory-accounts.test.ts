import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { directoryKinds } from './harness/directories.ts'
import { startDirectorySystem, credentialsOf } from './harness/directory-system.ts'
import { createDockerConfig, dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { createImage } from './harness/images.ts'
import { runCommand } from './harness/run-command.ts'
import type { TestDirectory } from './harness/test-directory.ts'

const noDocker = await dockerIsMissing()
const NOT_NAMES = [
  ['*', 'ali*', ')(uid=*', 'alice)(uid=*', '\\', 'alice\\', 'alice\0', '\0', 'älice', 'a,b', ''],
].flat()

async function testAccounts(t: Test, directory: TestDirectory, nested: boolean) {
  const { system, ask, create, signIn } = await startDirectorySystem(t, directory, nested)
  const { admin } = system

  await t.test('a directory account is created only for a user that the directory has', async (t) => {
    const made = await ask(admin, 'POST', '/user', {
      username: 'Alice',
      ad: 'true',
      password: 'ignored',
      namespaces: 'a',
    })
    t.match(made, { status: 201, body: { username: 'alice', ad: true, enabled: true, namespaces: ['a'] } })
    t.notMatch(JSON.stringify(made.body), /password|CN=|uid=/, 'the response has neither a password nor a DN')
    t.match(await create('nobody'), {
      status: 400,
      body: { field: 'username', detail: /matches no directory entry/ },
    })
    t.match(await create('alice'), { status: 409 })
    t.match(await ask(credentialsOf('alice'), 'GET', '/user'), {
      status: 200,
      body: { username: 'alice', ad: true },
    })
    t.equal(await signIn({ username: 'alice', password: 'ignored' }), 401)
    t.equal(await signIn({ ...credentialsOf('alice'), username: 'ALICE' }), 200)
  })

  await t.test('the password of a directory user is changed only in the directory', async (t) => {
    t.match(await ask(credentialsOf('alice'), 'POST', '/user/password', { password: 'another-password' }), {
      status: 409,
    })
    const byAdmin = await ask(admin, 'POST', '/user/password', {
      username: 'alice',
      password: 'another-password',
    })
    t.match(byAdmin, { status: 409, body: { detail: /change it in the directory/ } })
    await directory.setPassword('alice', 'New-password-of-alice-1')
    t.equal(await signIn({ username: 'alice', password: 'New-password-of-alice-1' }), 200)
    await directory.setPassword('alice', credentialsOf('alice').password)
  })

  await t.test('a local user takes precedence over a directory user of the same name', async (t) => {
    t.match(await ask(admin, 'POST', '/user', { username: 'bob', password: 'local-password' }), {
      status: 201,
    })
    t.equal(await signIn({ username: 'bob', password: 'local-password' }), 200)
    t.equal(await signIn(credentialsOf('bob')), 401)
    t.match(await ask(admin, 'PATCH', '/user', { username: 'bob', ad: 'true' }), {
      status: 200,
      body: { ad: true },
    })
    t.equal(
      await signIn({ username: 'bob', password: 'local-password' }),
      401,
      'the local user becomes a directory user',
    )
    t.equal(await signIn(credentialsOf('bob')), 200)
    t.match(await ask(admin, 'PATCH', '/user', { username: 'bob', ad: 'false' }), { status: 400 })
    t.match(await ask(admin, 'PATCH', '/user', { username: 'bob', ad: 'false', password: 'local-again' }), {
      status: 200,
    })
    t.equal(await signIn(credentialsOf('bob')), 401)
    t.equal(await signIn({ username: 'bob', password: 'local-again' }), 200)
    const local = { username: 'only-local', password: 'local-password' }
    t.match(await ask(admin, 'POST', '/user', local), { status: 201 })
    t.match(await ask(admin, 'PATCH', '/user', { username: 'only-local', ad: 'true' }), { status: 400 })
    t.equal(await signIn(local), 200, 'a user that the directory does not have stays local')
  })

  await t.test('a directory user logs in with docker and pushes', { skip: noDocker }, async (t) => {
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
    await login(credentialsOf('alice').password)
    const stored = await readFile(join(env.DOCKER_CONFIG, 'config.json'), 'utf8')
    t.match(JSON.parse(stored).auths[system.host].identitytoken, /^rmr_/)
    t.notOk(stored.includes(btoa(`alice:${credentialsOf('alice').password}`)))
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

  await t.test('usernames with LDAP filter syntax match no directory entry', async (t) => {
    for (const username of NOT_NAMES) {
      t.equal(
        await signIn({ username, password: credentialsOf('alice').password }),
        401,
        JSON.stringify(username),
      )
      t.match(await create(username), { status: 400, body: { field: 'username' } })
    }
  })
}

for (const { name, missing, nested, start } of await directoryKinds()) {
  t.test(`directory users have accounts: ${name}`, { skip: missing }, async (t) =>
    testAccounts(t, await start(t), nested),
  )
}
