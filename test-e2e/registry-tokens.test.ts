import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ensureCommands, findCommand } from './harness/debian-packages.ts'
import { createDockerConfig, dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { createImage } from './harness/images.ts'
import type { RegistryToken } from './harness/registry-tokens.ts'
import { personalTokens, registryTokens, scope } from './harness/registry-tokens.ts'
import { runCommand } from './harness/run-command.ts'
import { pushSmallImage } from './harness/small-image.ts'
import { basic, startSystem } from './harness/system.ts'

const refused = { code: 1, stderr: /denied|unauthorized|authentication required/i }
const missing = (await dockerIsMissing()) || (await ensureCommands({ skopeo: 'skopeo' }))

t.test('registry tokens and personal tokens permit exactly their scopes', { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'registry-tokens-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startSystem(t)
  const tokens = await registryTokens(system)
  const { docker } = await startDockerEngine(t)
  const image = await createImage(join(folder, 'image'), { seed: 'robots', layers: 1, layerBytes: 10_000 })
  await runCommand('tar', ['-cf', join(folder, 'image.tar'), '-C', join(folder, 'image'), '.'])
  await docker(['load', '--input', join(folder, 'image.tar')])
  const remote = (name: string) => `${system.host}/${name}`

  const puller = await tokens.make('Puller', [scope('team/*', 'pull')])
  const pusher = await tokens.make('pusher', [scope('team/*', 'push'), scope('lab/one', 'push')])
  const deleter = await tokens.make('deleter', [scope('team/*', 'delete')])
  for (const name of ['team/app', 'other/app', 'other/shared', 'team']) {
    await pushSmallImage(system, system.admin, name, 'v1')
  }
  const shared = await fetch(`${system.url}/image-manager/api/v1/repositories/other/shared`, {
    method: 'PUT',
    headers: { authorization: basic(system.admin) },
    body: '{"scope":"global"}',
  })
  t.equal(shared.status, 200)

  await t.test('docker can use a registry token only for its scopes', async (t) => {
    const configs = new Map<string, { DOCKER_CONFIG: string }>()
    const login = async ({ username, password }: RegistryToken) => {
      const env = { DOCKER_CONFIG: await createDockerConfig(join(folder, username)) }
      configs.set(username, env)
      await docker(['login', '--username', username, '--password-stdin', system.host], {
        env,
        input: password,
      })
    }
    const as = ({ username }: RegistryToken, ...args: string[]) =>
      docker(args, { env: configs.get(username)! })
    const jim = await system.createUser('jim', ['jims'])
    const laptop = await personalTokens(system, jim).make('laptop')
    for (const token of [puller, pusher, deleter, laptop]) await login(token)
    const push = async (credentials: RegistryToken, name: string) => {
      await docker(['tag', 'made-here:latest', remote(name)])
      return as(credentials, 'push', remote(name))
    }
    await push(pusher, 'team/from-docker:1')
    await push(pusher, 'lab/one:1')
    await as(pusher, 'pull', remote('team/from-docker:1'))
    await as(puller, 'pull', remote('team/from-docker:1'))
    await t.rejects(push(puller, 'team/from-docker:2'), refused, 'a pull scope does not permit a push')
    await t.rejects(push(pusher, 'lab/two:1'), refused, 'a scope of one name does not permit another name')
    await t.rejects(push(pusher, 'other/app:1'), refused)
    await t.rejects(push(pusher, 'teams/app:1'), refused)
    await t.rejects(as(puller, 'pull', remote('other/app:v1')), refused)
    await t.rejects(
      as(puller, 'pull', remote('team:v1')),
      refused,
      'a prefix scope does not permit the prefix itself',
    )
    await t.rejects(
      as(puller, 'pull', remote('other/shared:v1')),
      refused,
      'global repositories are not in the scopes',
    )
    await t.rejects(
      as(deleter, 'pull', remote('team/from-docker:1')),
      refused,
      'a pull scope does not permit a deletion',
    )
    await t.rejects(push(deleter, 'team/from-docker:2'), refused)
    await push(laptop, 'jims/app:1')
    await as(laptop, 'pull', remote('jims/app:1'))
    await t.rejects(push(laptop, 'team/app:2'), refused, 'a personal token has no more rights than its owner')
  })

  await t.test('skopeo can use a registry token only for its scopes', async (t) => {
    const skopeo = async ({ username, password }: RegistryToken, ...args: string[]) => {
      const env = { REGISTRY_AUTH_FILE: join(folder, `${username}.json`) }
      const login = ['login', '--tls-verify=false', '-u', username, '--password-stdin', system.host]
      await runCommand(findCommand('skopeo')!, login, { env, input: password })
      return runCommand(findCommand('skopeo')!, ['--insecure-policy', ...args], { env })
    }
    const source = `oci:${join(folder, 'image')}:latest`
    const push = (credentials: RegistryToken, name: string) =>
      skopeo(credentials, 'copy', '--dest-tls-verify=false', source, `docker://${remote(name)}`)
    const inspect = (credentials: RegistryToken, name: string) =>
      skopeo(
        credentials,
        'inspect',
        '--tls-verify=false',
        '--format',
        '{{.Digest}}',
        `docker://${remote(name)}`,
      )
    const remove = (credentials: RegistryToken, name: string) =>
      skopeo(credentials, 'delete', '--tls-verify=false', `docker://${remote(name)}`)
    await push(pusher, 'team/from-skopeo:1')
    t.equal((await inspect(puller, 'team/from-skopeo:1')).stdout.trim(), image.descriptor.digest)
    const tags = await skopeo(
      puller,
      'list-tags',
      '--tls-verify=false',
      `docker://${remote('team/from-skopeo')}`,
    )
    t.match(JSON.parse(tags.stdout), { Tags: ['1'] })
    await t.rejects(push(puller, 'team/from-skopeo:2'), refused)
    await t.rejects(push(pusher, 'other/app:2'), refused)
    await t.rejects(inspect(puller, 'other/app:v1'), refused)
    await t.rejects(inspect(puller, 'other/shared:v1'), refused)
    await t.rejects(inspect(deleter, 'team/from-skopeo:1'), refused)
    await t.rejects(remove(puller, 'team/from-skopeo:1'), refused)
    await t.rejects(remove(pusher, 'team/from-skopeo:1'), refused)

    const jane = await system.createUser('jane', ['lab', 'team'])
    const laptop = await personalTokens(system, jane).make('laptop', [scope('lab/*', 'push')])
    await push(laptop, 'lab/from-jane:1')
    t.equal((await inspect(laptop, 'lab/from-jane:1')).stdout.trim(), image.descriptor.digest)
    await t.rejects(
      push(laptop, 'team/from-jane:1'),
      refused,
      'her scopes lack it, although she has the right',
    )
    await t.rejects(remove(laptop, 'lab/from-jane:1'), refused)
    const wide = await personalTokens(system, jane).make('wide', [scope('*', 'pull', 'push', 'delete')])
    await t.rejects(
      push(wide, 'other/from-jane:1'),
      refused,
      'she lacks the right, although her scopes have it',
    )
    const audited = await fetch(`${system.url}/audit?action=push&repository=lab/from-jane`, {
      headers: { authorization: basic(system.admin) },
    })
    const { items } = (await audited.json()) as { items: { principal: object }[] }
    t.match(items[0]?.principal, {
      kind: 'personal-token',
      name: 'jane',
      via: { id: laptop.id, name: 'laptop' },
    })
  })

  await t.test(
    'a registry token that is sent by Basic gets no more than its scopes at the registry API',
    async (t) => {
      const ask = async (credentials: RegistryToken, method: string, path: string) => {
        const response = await fetch(system.url + path, {
          method,
          headers: { authorization: basic(credentials) },
        })
        return { status: response.status, body: await response.text() }
      }
      const catalog = await ask(puller, 'GET', '/v2/_catalog')
      const visible = ['team/app', 'team/from-docker', 'team/from-skopeo']
      t.strictSame(
        JSON.parse(catalog.body),
        { repositories: visible },
        'the catalog lists the repositories that the token may pull',
      )
      const page = await ask(puller, 'GET', '/v2/_catalog?n=1&last=team/app')
      t.strictSame(JSON.parse(page.body), { repositories: ['team/from-docker'] })
      t.strictSame(JSON.parse((await ask(deleter, 'GET', '/v2/_catalog')).body), { repositories: [] })
      const referrers = `/v2/team/app/referrers/sha256:${'0'.repeat(64)}`
      t.equal((await ask(puller, 'GET', referrers)).status, 200)
      t.equal((await ask(deleter, 'GET', referrers)).status, 403)
      t.equal((await ask(puller, 'GET', '/v2/other/shared/tags/list')).status, 403)
      t.equal((await ask(puller, 'DELETE', '/v2/team/app/manifests/v1')).status, 403)
      t.equal((await ask(pusher, 'DELETE', '/v2/team/app/manifests/v1')).status, 403)
      t.equal((await ask(deleter, 'DELETE', '/v2/other/app/manifests/v1')).status, 403)
      t.equal((await ask(deleter, 'DELETE', '/v2/team/app/manifests/v1')).status, 202)
    },
  )

  await t.test('image management is read-only for a registry token', async (t) => {
    const ask = (credentials: RegistryToken, method: string, path = '') =>
      fetch(`${system.url}/image-manager/api/v1/repositories${path}`, {
        method,
        headers: { authorization: basic(credentials) },
        body: method === 'PUT' ? '{"scope":"global"}' : null,
      })
    const listed = (await (await ask(puller, 'GET')).json()) as { repositories: { name: string }[] }
    const names = listed.repositories.map(({ name }) => name)
    t.strictSame(names, ['team/app', 'team/from-docker', 'team/from-skopeo'])
    t.equal((await ask(puller, 'GET', '/team/from-docker')).status, 200)
    t.equal((await ask(puller, 'GET', '/other/shared')).status, 404)
    t.equal((await ask(puller, 'PUT', '/team/from-docker')).status, 403)
    t.equal((await ask(pusher, 'DELETE', '/team/from-docker')).status, 403)
    t.equal((await ask(deleter, 'DELETE', '/team/from-docker')).status, 404)
  })
})
