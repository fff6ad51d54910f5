import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { ensureCommands, findCommand } from './harness/debian-packages.ts'
import { createImage, dockerManifest, fetchManifest, ociManifest } from './harness/images.ts'
import { runCommand } from './harness/run-command.ts'
import { type Credentials, startSystem, tlsVerify } from './harness/system.ts'

const refused = { code: 125, stderr: /denied|unauthorized|authentication required/i }
const missing = await ensureCommands({ podman: 'podman' })

test('podman logs in, pushes, pulls and logs out', { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'podman-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startSystem(t)
  const verify = `--tls-verify=${tlsVerify(system)}`
  const alice = await system.createUser('alice', ['team'])
  const bob = await system.createUser('bob', ['other'])
  // podman does not start if the file of REGISTRY_AUTH_FILE is missing.
  for (const { username } of [alice, bob]) await writeFile(join(folder, `${username}.json`), '{}')
  const remote = (image: string) => `${system.host}/${image}`

  /** Runs podman on the store with this name. A new name is an empty store. */
  const podman = async (store: string, username: string, args: string[], input?: string) => {
    const flags = [
      `--root=${join(folder, store, 'root')}`,
      `--runroot=${join(folder, store, 'run')}`,
      `--tmpdir=${join(folder, store, 'tmp')}`,
      `--network-config-dir=${join(folder, store, 'network')}`,
      // This driver is the slowest one. It works everywhere and needs no mount.
      '--storage-driver=vfs',
      '--events-backend=none',
    ]
    const env = { REGISTRY_AUTH_FILE: join(folder, `${username}.json`) }
    const { stdout } = await runCommand(findCommand('podman')!, [...flags, ...args], {
      env,
      input,
      cwd: folder,
    })
    return stdout.trim()
  }
  const login = ({ username, password }: Credentials) =>
    podman('first', username, ['login', verify, '-u', username, '--password-stdin', system.host], password)
  const push = (username: string, image: string, target: string, ...flags: string[]) =>
    podman('first', username, ['push', verify, ...flags, image, remote(target)])
  const pull = (store: string, username: string, image: string) =>
    podman(store, username, ['pull', verify, remote(image)])

  const large = await createImage(join(folder, 'large'), {
    seed: 'podman',
    layers: 3,
    layerBytes: 70 << 20,
  })
  await createImage(join(folder, 'small'), { seed: 'podman small', layers: 1, layerBytes: 1000 })
  const largeId = await podman('first', 'alice', ['pull', '-q', 'oci:large:latest'])
  const smallId = await podman('first', 'alice', ['pull', '-q', 'oci:small:latest'])

  await t.test('podman login with a wrong password fails', async (t) => {
    await t.rejects(login({ username: 'alice', password: 'not this one' }), {
      code: 125,
      stderr: /invalid username\/password/,
    })
  })

  // For the second format, podman mounts the layers that it pushed with the first.
  for (const { format, mediaType } of [
    { format: 'oci', mediaType: ociManifest },
    { format: 'v2s2', mediaType: dockerManifest },
  ]) {
    await t.test(`podman pushes an image as ${format} and pulls it into an empty store`, async (t) => {
      await login(alice)
      const digestFile = join(folder, `${format}.digest`)
      await push('alice', largeId, `team/${format}:1`, `--format=${format}`, `--digestfile=${digestFile}`)
      const digest = await readFile(digestFile, 'utf8')

      const stored = await fetchManifest(system.url, alice, `team/${format}`, '1')
      t.equal(stored.digest, digest)
      t.equal(stored.manifest.config.digest, large.manifest.config.digest)

      await pull(`empty for ${format}`, 'alice', `team/${format}:1`)
      const [pulled] = JSON.parse(
        await podman(`empty for ${format}`, 'alice', ['image', 'inspect', remote(`team/${format}:1`)]),
      )
      t.equal(pulled.Digest, digest)
      t.equal(pulled.ManifestType, mediaType)
      t.equal(pulled.Id, large.manifest.config.digest.slice('sha256:'.length))
      t.same(pulled.RootFS.Layers, large.diffIds)
    })
  }

  await t.test('podman cannot push to or pull from a namespace of other users', async (t) => {
    await login(bob)
    await push('bob', smallId, 'other/app:1')
    await t.rejects(push('alice', smallId, 'other/intruder:1'), refused)
    await t.rejects(pull('stolen', 'alice', 'other/app:1'), refused)
    t.equal(await pull('kept', 'bob', 'other/app:1'), smallId)
  })

  await t.test('podman is refused after podman logout', async (t) => {
    await podman('first', 'bob', ['logout', system.host])
    await t.rejects(pull('late', 'bob', 'other/app:1'), refused)
    await t.rejects(push('bob', smallId, 'other/app:2'), refused)
  })
})
