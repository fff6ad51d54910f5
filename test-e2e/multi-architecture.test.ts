import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { ensureCommands, findCommand } from './harness/debian-packages.ts'
import { createIndex, readImageFolder } from './harness/images.ts'
import { runCommand } from './harness/run-command.ts'
import { startSystem, tlsVerify } from './harness/system.ts'

const missing = await ensureCommands({ skopeo: 'skopeo' })

test('multi-architecture images are pushed and pulled', { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'multi-architecture-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startSystem(t)
  const verify = tlsVerify(system)
  const alice = await system.createUser('alice', ['team'])
  const remote = (image: string) => `docker://${system.host}/${image}`
  const skopeo = (args: string[], input?: string) =>
    runCommand(findCommand('skopeo')!, ['--insecure-policy', ...args], {
      env: { REGISTRY_AUTH_FILE: join(folder, 'alice.json') },
      input,
    })
  const copy = (source: string, target: string, ...flags: string[]) =>
    skopeo(['copy', `--src-tls-verify=${verify}`, `--dest-tls-verify=${verify}`, ...flags, source, target])

  const index = await createIndex(join(folder, 'made'), ['amd64', 'arm64'], {
    seed: 'multi-architecture',
    layers: 3,
    layerBytes: 5 << 20,
  })
  const made = `oci:${join(folder, 'made')}:latest`
  const blobs = index.images.flatMap(({ manifest }) => [manifest.config, ...manifest.layers])
  await skopeo(
    ['login', `--tls-verify=${verify}`, '-u', 'alice', '--password-stdin', system.host],
    alice.password,
  )

  await t.test('skopeo copies an OCI image index there and back without a change', async (t) => {
    await copy(made, remote('team/index:1'), '--all')
    const target = join(folder, 'index')
    await copy(remote('team/index:1'), `dir:${target}`, '--all')
    const pulled = await readImageFolder(target)
    t.equal(pulled.digest, index.descriptor.digest)
    t.equal(pulled.manifest.mediaType, 'application/vnd.oci.image.index.v1+json')
    t.same(pulled.manifests, index.images.map(({ descriptor }) => descriptor.digest).toSorted())
    t.same(pulled.blobs, blobs.map(({ digest }) => digest).toSorted())
  })

  await t.test('a client of each architecture pulls its own image of an image index', async (t) => {
    for (const { architecture, descriptor } of index.images) {
      const target = join(folder, architecture)
      const source = remote('team/index:1')
      await skopeo([
        `--override-arch=${architecture}`,
        'copy',
        `--src-tls-verify=${verify}`,
        source,
        `dir:${target}`,
      ])
      t.equal((await readImageFolder(target)).digest, descriptor.digest)
    }
  })

  await t.test('skopeo copies a Docker manifest list there and back without a change', async (t) => {
    const digestFile = join(folder, 'digest')
    await copy(made, remote('team/list:1'), '--all', '--format=v2s2', `--digestfile=${digestFile}`)
    const target = join(folder, 'list')
    await copy(remote('team/list:1'), `dir:${target}`, '--all')
    const pulled = await readImageFolder(target)
    t.equal(pulled.digest, await readFile(digestFile, 'utf8'))
    t.equal(pulled.manifest.mediaType, 'application/vnd.docker.distribution.manifest.list.v2+json')
    t.same(
      pulled.manifest.manifests.map(
        ({ platform }: { platform: { architecture: string } }) => platform.architecture,
      ),
      ['amd64', 'arm64'],
    )
    t.same(
      pulled.manifests,
      pulled.manifest.manifests.map(({ digest }: { digest: string }) => digest).toSorted(),
    )
    t.same(pulled.blobs, blobs.map(({ digest }) => digest).toSorted())
  })
})
