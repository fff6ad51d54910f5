import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ensureCommands, findCommand } from './harness/debian-packages.ts'
import { createDockerConfig, dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { createImage, fetchManifest } from './harness/images.ts'
import { registryTokens } from './harness/registry-tokens.ts'
import { runCommand } from './harness/run-command.ts'
import { fillIn, readSeed } from './harness/seed.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * Registry tokens, as printed: the request, its response and its 409, byte for byte except for white space, ids, dates
 * and the password. Then `docker login` with the credentials, and the rest of the page. Only `https` (http here) and
 * the host are replaced.
 */
const CREATED_BY = 'sample@sample.com'
const refused = { code: 1, stderr: /denied|unauthorized|authentication required/i }
const missing = (await dockerIsMissing()) || (await ensureCommands({ curl: 'curl', skopeo: 'skopeo' }))

t.test('seed 004: a registry token is created and used as printed', { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'seed-004-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startSystem(t)
  const { registryId } = await registryTokens(system)
  const john = { username: CREATED_BY, password: 'a-password-of-sample' }
  const user = new URLSearchParams({ ...john, admin: 'true' })
  const headers = { authorization: basic(system.admin) }
  const made = await fetch(`${system.url}/user`, { method: 'POST', headers, body: user })
  const { id: johnsId } = (await made.json()) as { id: string }

  const seed = readSeed('004_b3b8cabbd0e2ee32')
  const printed = /^curl .*?\n}'$/ms.exec(seed)?.[0] ?? ''
  const request = fillIn(printed, [
    ['https://api.ionos.com', system.url],
    ['789f8e3c-d5c8-4359-8f85-c200fb89e97c', registryId],
    ['Basic am9obkBleGFtcGxlLmNvbTphYmMxMjM=', basic(john)],
  ])
  t.match(request, `/registries/:${registryId}/tokens`, 'the request has a colon before the id')
  const [success, conflict] = [...seed.matchAll(/^{\n.*?^}$/gms)].map(([text]) => JSON.parse(text))
  const run = async () => {
    const { stdout } = await runCommand('sh', ['-c', `${request} -sS -w '\\n%{http_code}'`])
    const status = stdout.slice(stdout.lastIndexOf('\n') + 1)
    return { status: Number(status), body: stdout.slice(0, stdout.lastIndexOf('\n')) }
  }

  const first = await run()
  const { id, metadata, properties } = JSON.parse(first.body)
  t.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  t.match(metadata.createdDate, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'the date has the printed form')
  const { password } = properties.credentials
  const expected = structuredClone(success)
  expected.id = id
  Object.assign(expected.metadata, { createdByUserId: johnsId, createdDate: metadata.createdDate })
  expected.properties.credentials.password = password
  t.strictSame(first, { status: 200, body: JSON.stringify(expected) }, 'the response has the printed form')
  t.strictSame(
    await run(),
    { status: 409, body: JSON.stringify(conflict) },
    'a repeated request gets the printed conflict',
  )

  const robot = { username: properties.credentials.username as string, password: password as string }
  const { docker } = await startDockerEngine(t)
  const config = { DOCKER_CONFIG: await createDockerConfig(join(folder, 'robot')) }
  const login = (secret: string) =>
    docker(['login', '--username', robot.username, '--password-stdin', system.host], {
      env: config,
      input: secret,
    })
  const image = await createImage(join(folder, 'image'), { seed: 'seed-004', layers: 2, layerBytes: 100_000 })
  await runCommand('tar', ['-cf', join(folder, 'image.tar'), '-C', join(folder, 'image'), '.'])
  await docker(['load', '--input', join(folder, 'image.tar')])
  const remote = `${system.host}/some/app:1`
  await docker(['tag', 'made-here:latest', remote])

  await t.test('seed 004: docker logs in, pushes and pulls with the registry token', async (t) => {
    await t.rejects(
      login(`${password.slice(0, -1)}_`),
      { code: 1 },
      'docker login with another password fails',
    )
    t.match(await login(password), { stdout: /Login Succeeded/ })
    await docker(['push', remote], { env: config })
    await docker(['rmi', 'made-here:latest', remote])
    await docker(['pull', remote], { env: config })
    t.match((await docker(['inspect', '--format', '{{.Id}}', remote])).stdout, image.manifest.config.digest)
  })

  await t.test('seed 004: the registry token lists tags and deletes a manifest', async (t) => {
    const tags = await fetch(`${system.url}/v2/some/app/tags/list`, {
      headers: { authorization: basic(robot) },
    })
    t.strictSame(await tags.json(), { name: 'some/app', tags: ['1'] })
    const { digest } = await fetchManifest(system.url, robot, 'some/app', '1')
    const url = `${system.url}/v2/some/app/manifests/${digest}`
    const gone = await fetch(url, { method: 'DELETE', headers: { authorization: basic(robot) } })
    t.equal(gone.status, 202)
  })

  await t.test('seed 004: docker is refused after docker logout', async (t) => {
    await docker(['logout', system.host], { env: config })
    await t.rejects(docker(['push', remote], { env: config }), refused)
  })

  await t.test('seed 004: skopeo uses the same credentials', async (t) => {
    const env = { REGISTRY_AUTH_FILE: join(folder, 'skopeo.json') }
    const skopeo = (args: string[], input?: string) =>
      runCommand(findCommand('skopeo')!, args, { env, input })
    await skopeo(
      ['login', '--tls-verify=false', '-u', robot.username, '--password-stdin', system.host],
      password,
    )
    const target = `docker://${system.host}/some/other:1`
    const source = `oci:${join(folder, 'image')}:latest`
    await skopeo(['--insecure-policy', 'copy', '--dest-tls-verify=false', source, target])
    const inspected = await skopeo(['inspect', '--tls-verify=false', '--format', '{{.Digest}}', target])
    t.equal(inspected.stdout.trim(), image.descriptor.digest)
  })
})
