import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { createDockerConfig, dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { createImage, dockerManifest, fetchManifest } from './harness/images.ts'
import { runCommand } from './harness/run-command.ts'
import { type Credentials, startSystem } from './harness/system.ts'

const refused = { code: 1, stderr: /denied|unauthorized|authentication required/i }

test('docker logs in, pushes, pulls and logs out', { skip: await dockerIsMissing() }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'docker-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startSystem(t)
  const alice = await system.createUser('alice', ['team'])
  const bob = await system.createUser('bob', ['other'])
  const engine = await startDockerEngine(t)
  const emptyEngine = await startDockerEngine(t)
  const remote = (image: string) => `${system.host}/${image}`

  /** The environment in which the docker CLI has the logins of one user only. */
  const as: Record<string, { DOCKER_CONFIG: string }> = {
    alice: { DOCKER_CONFIG: await createDockerConfig(join(folder, 'alice')) },
    bob: { DOCKER_CONFIG: await createDockerConfig(join(folder, 'bob')) },
  }
  const login = ({ username, password }: Credentials) =>
    engine.docker(['login', '--username', username, '--password-stdin', system.host], {
      env: as[username],
      input: password,
    })
  const push = async (username: string, image: string, target: string) => {
    await engine.docker(['tag', image, remote(target)])
    return engine.docker(['push', remote(target)], { env: as[username] })
  }
  const pull = (username: string, image: string) =>
    emptyEngine.docker(['pull', remote(image)], { env: as[username] })
  /** Makes an image and loads it into the first engine. Returns the image with the id that docker gives it. */
  const load = async (seed: string, layers: number, layerBytes: number) => {
    const image = await createImage(join(folder, seed), { seed, layers, layerBytes })
    await runCommand('tar', ['-cf', join(folder, `${seed}.tar`), '-C', join(folder, seed), '.'])
    await engine.docker(['load', '--input', join(folder, `${seed}.tar`)])
    return { id: image.manifest.config.digest, diffIds: image.diffIds }
  }
  const large = await load('large', 3, 70 << 20)
  const small = await load('small', 1, 1000)

  await t.test('docker login with a wrong password fails', async (t) => {
    await t.rejects(login({ username: 'alice', password: 'not this one' }), {
      code: 1,
      stderr: /unauthorized|incorrect username or password|wrong username or password/i,
    })
  })

  await t.test('docker login stores a refresh token and not the password', async (t) => {
    await login(alice)
    const stored = await readFile(join(as.alice!.DOCKER_CONFIG, 'config.json'), 'utf8')
    const entry = JSON.parse(stored).auths[system.host]
    t.match(entry.identitytoken, /^.{16,}$/)
    t.equal(Buffer.from(entry.auth, 'base64').toString(), 'alice:')
    t.equal(stored.includes(alice.password), false)
    t.equal(stored.includes(Buffer.from(`alice:${alice.password}`).toString('base64')), false)
  })

  await t.test('docker pushes and pulls an image with the stored refresh token alone', async (t) => {
    const pushed = await push('alice', large.id, 'team/app:1')
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed.stdout)?.[1]

    const stored = await fetchManifest(system.url, alice, 'team/app', '1')
    t.equal(stored.digest, digest)
    t.equal(stored.manifest.mediaType, dockerManifest)
    t.equal(stored.manifest.config.digest, large.id)

    t.equal((await emptyEngine.docker(['images', '--all', '--quiet'])).stdout, '')
    await pull('alice', 'team/app:1')
    const [pulled] = JSON.parse((await emptyEngine.docker(['inspect', remote('team/app:1')])).stdout)
    t.same(pulled.RepoDigests, [remote(`team/app@${digest}`)])
    t.equal(pulled.Id, large.id)
    t.same(pulled.RootFS.Layers, large.diffIds)
  })

  await t.test('docker cannot push to or pull from a namespace of other users', async (t) => {
    await login(bob)
    await push('bob', small.id, 'other/app:1')
    await t.rejects(push('alice', small.id, 'other/intruder:1'), refused)
    await t.rejects(pull('alice', 'other/app:1'), refused)
    await pull('bob', 'other/app:1')
  })

  await t.test('docker is refused after docker logout', async (t) => {
    await engine.docker(['logout', system.host], { env: as.bob })
    await t.rejects(pull('bob', 'other/app:1'), refused)
    await t.rejects(push('bob', small.id, 'other/app:2'), refused)
  })
})
