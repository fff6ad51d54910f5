import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { ensureCommands, findCommand } from './harness/debian-packages.ts'
import { createForeignIssuer } from './harness/foreign-tokens.ts'
import { createImage, dockerManifest, ociManifest, readImageFolder } from './harness/images.ts'
import { runCommand } from './harness/run-command.ts'
import { basic, type Credentials, startSystem, tlsVerify } from './harness/system.ts'

const refused = { code: 1, stderr: /denied|unauthorized|authentication required/i }
const missing = await ensureCommands({ skopeo: 'skopeo' })

test('skopeo logs in, copies images and logs out', { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'skopeo-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startSystem(t)
  const verify = tlsVerify(system)
  const alice = await system.createUser('alice', ['team'])
  const bob = await system.createUser('bob', ['other'])
  const remote = (image: string) => `docker://${system.host}/${image}`

  /** Runs skopeo with the logins of this user's own file. */
  const skopeo = (username: string, args: string[], input?: string) =>
    runCommand(findCommand('skopeo')!, ['--insecure-policy', ...args], {
      env: { REGISTRY_AUTH_FILE: join(folder, `${username}.json`) },
      input,
    })
  const copy = (username: string, source: string, target: string, ...flags: string[]) =>
    skopeo(username, [
      'copy',
      `--src-tls-verify=${verify}`,
      `--dest-tls-verify=${verify}`,
      ...flags,
      source,
      target,
    ])
  const login = ({ username, password }: Credentials) =>
    skopeo(
      username,
      ['login', `--tls-verify=${verify}`, '-u', username, '--password-stdin', system.host],
      password,
    )

  const large = `oci:${join(folder, 'large')}:latest`
  const image = await createImage(join(folder, 'large'), { seed: 'skopeo', layers: 3, layerBytes: 70 << 20 })
  const small = `oci:${join(folder, 'small')}:latest`
  await createImage(join(folder, 'small'), { seed: 'skopeo small', layers: 1, layerBytes: 1000 })
  const layers = image.manifest.layers.map(({ digest }) => digest)
  const blobs = [image.manifest.config.digest, ...layers]

  await t.test('skopeo login with a wrong password fails', async (t) => {
    await t.rejects(login({ username: 'alice', password: 'not this one' }), {
      code: 1,
      stderr: /invalid username\/password/,
    })
  })

  await t.test('skopeo copies an OCI image there and back without a change', async (t) => {
    await login(alice)
    await copy('alice', large, remote('team/oci:1'), '--format=oci')
    const target = join(folder, 'pulled-oci')
    await copy('alice', remote('team/oci:1'), `dir:${target}`)
    const pulled = await readImageFolder(target)
    t.equal(pulled.digest, image.descriptor.digest)
    t.equal(pulled.manifest.mediaType, ociManifest)
    t.same(pulled.blobs, blobs.toSorted())
  })

  // Here skopeo mounts the layers that it pushed before.
  await t.test('skopeo copies an image converted to schema 2 there and back', async (t) => {
    const digestFile = join(folder, 'digest')
    await copy('alice', large, remote('team/schema2:1'), '--format=v2s2', `--digestfile=${digestFile}`)
    const target = join(folder, 'pulled-schema2')
    await copy('alice', remote('team/schema2:1'), `dir:${target}`)
    const pulled = await readImageFolder(target)
    t.equal(pulled.digest, await readFile(digestFile, 'utf8'))
    t.equal(pulled.manifest.mediaType, dockerManifest)
    t.same(
      pulled.manifest.layers.map((layer: { digest: string }) => layer.digest),
      layers,
    )
    t.same(pulled.blobs, blobs.toSorted())
  })

  await t.test('skopeo cannot push to or pull from a namespace of other users', async (t) => {
    await login(bob)
    await copy('bob', small, remote('other/app:1'))
    await t.rejects(copy('alice', small, remote('other/intruder:1')), refused)
    await t.rejects(copy('alice', remote('other/app:1'), `dir:${join(folder, 'stolen')}`), refused)
    await copy('bob', remote('other/app:1'), `dir:${join(folder, 'kept')}`)
  })

  await t.test(
    'skopeo pushes and pulls with a token of another issuer until its trust rule changes',
    async (t) => {
      const issuer = createForeignIssuer(system)
      const rules = '/namespaces/jobs/trust-rules'
      const rule = {
        name: 'job',
        issuer: 'https://issuer.example',
        audience: system.host,
        claims: { project_path: 'acme/*' },
        scopes: [{ type: 'repository', name: 'jobs/*', actions: ['push'] }],
      }
      await issuer.sendRule('POST', rules, rule)
      const claims = { iss: rule.issuer, sub: 'job-1', project_path: 'acme/app' }
      const job = { username: 'job', password: await issuer.sign(claims) }
      await login(job)
      await copy('job', small, remote('jobs/app:1'))
      await copy('job', remote('jobs/app:1'), `dir:${join(folder, 'of-the-job')}`)
      await t.rejects(copy('job', small, remote('team/app:1')), refused, 'beyond its scopes')
      const stranger = await issuer.sign({ ...claims, project_path: 'other/app' })
      await t.rejects(login({ username: 'job', password: stranger }), { code: 1 })
      const events = await fetch(`${system.url}/audit?repository=jobs/app&action=push`, {
        headers: { authorization: basic(system.admin) },
      })
      t.match(await events.json(), { items: [{ principal: { kind: 'workload', name: 'jobs/job (job-1)' } }] })
      const deleted = await fetch(`${system.url}${rules}`, {
        method: 'PUT',
        headers: { authorization: basic(system.admin), 'content-type': 'application/json' },
        body: '{"items":[]}',
      })
      t.equal(deleted.status, 200)
      const statusOfToken = async () => {
        const headers = { authorization: basic(job) }
        return (await fetch(`${system.url}/auth/v2/token?scope=repository:jobs/app:push`, { headers })).status
      }
      t.equal(await waitForAllReplicas(statusOfToken, 401, 5000), 401, 'within five seconds')
      await t.rejects(copy('job', small, remote('jobs/app:2')), refused, 'after the rule was deleted')
    },
  )

  await t.test('skopeo is refused after skopeo logout', async (t) => {
    await skopeo('bob', ['logout', `--tls-verify=${verify}`, system.host])
    await t.rejects(copy('bob', remote('other/app:1'), `dir:${join(folder, 'late')}`), refused)
    await t.rejects(copy('bob', small, remote('other/app:2')), refused)
  })
})
