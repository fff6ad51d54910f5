import type { Test } from 'tap'
import t from 'tap'
import type { Made } from './harness/manifests.ts'
import { EMPTY, digestOf, makeImage, makeIndex, randomLayer } from './harness/manifests.ts'
import type { RegistryClient } from './harness/registry-client.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { personalTokens, registryTokens, scope } from './harness/registry-tokens.ts'
import type { Credentials, System } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/*
 * Everybody who could read an image cannot read a byte of it while it lies in the trash, also with a token from before
 * the deletion: not by a tag or a digest, not as a file of the storage, not by a mount, and no list names it. After its
 * restore everybody reads every byte again.
 */

const API = '/image-manager/api/v1'
const SOURCES = process.env['E2E_TARGET'] === 'stack' ? ['cache', 'volume'] : ['']
const json = { 'content-type': 'application/json' }

interface Reader {
  readonly name: string
  readonly client: RegistryClient
}

/** Everybody who may read a repository, each with credentials and with a token that was issued before the deletion. */
async function readersOf(system: System, repository: string): Promise<readonly Reader[]> {
  const users = ['owner', 'reader', 'developer', 'maintainer', 'member'] as const
  const accounts = new Map<string, Credentials>([['admin', system.admin]])
  for (const name of users)
    accounts.set(name, await system.createUser(name, name === 'member' ? ['team'] : []))
  accounts.set('administrator', await system.createUser('administrator', ['team'], 'administrator'))
  const items = users
    .filter((name) => name !== 'member')
    .map((role) => ({ subject: { kind: 'user', name: role }, repositories: 'team/*', role }))
  const root = createRegistryClient(system.url, basic(system.admin))
  const granted = await root.send('PUT', '/namespaces/team/grants', {
    headers: json,
    body: JSON.stringify({ items }),
  })
  if (granted.status !== 200) throw new Error(`PUT grants: ${granted.status} ${granted.body}`)
  const tokens = await registryTokens(system)
  accounts.set('registry token', await tokens.make('robot', [scope('*', 'pull', 'push', 'delete')]))
  accounts.set('personal token', await personalTokens(system, system.admin).make('laptop'))
  const readers: Reader[] = []
  for (const [name, account] of accounts) {
    const bearer = await tokenFor(system, account, `repository:${repository}:pull`)
    readers.push({ name, client: createRegistryClient(system.url, basic(account)) })
    readers.push({
      name: `${name}, with a token`,
      client: createRegistryClient(system.url, `Bearer ${bearer}`),
    })
  }
  return readers
}

/** A client without an account. */
async function anonymousOf(system: System, repository: string): Promise<Reader> {
  const query = new URLSearchParams({ service: system.host, scope: `repository:${repository}:pull` })
  const { token } = (await (await fetch(`${system.url}/auth/v2/token?${query}`)).json()) as { token: string }
  return { name: 'anonymous', client: createRegistryClient(system.url, `Bearer ${token}`) }
}

/** The bytes of a manifest and of everything that it references, by the paths where clients read them. */
function pathsOf(repository: string, made: Made): (readonly [path: string, bytes: Buffer])[] {
  const { descriptor, bytes, blobs, children } = made
  return [
    [`/v2/${repository}/manifests/${descriptor.digest}`, bytes],
    ...blobs.map((blob) => [`/v2/${repository}/blobs/${digestOf(blob)}`, blob] as const),
    ...children.flatMap((child) => pathsOf(repository, child)),
  ]
}

async function checkReadable(
  t: Test,
  readers: readonly Reader[],
  paths: readonly (readonly [string, Buffer])[],
) {
  for (const { name, client } of readers)
    for (const [path, bytes] of paths) {
      const { status, body } = await client.send('GET', path)
      t.strictSame([status, body.equals(bytes)], [200, true], `${name} reads ${path}`)
    }
}

/** Nobody reads any of some bytes. */
async function checkUnreadable(
  t: Test,
  readers: readonly Reader[],
  paths: readonly (readonly [string, Buffer])[],
) {
  const faults: string[] = []
  for (const { name, client } of readers)
    for (const [path, bytes] of paths)
      for (const [method, headers] of [
        ['GET', {}],
        ['HEAD', {}],
        ['GET', { range: 'bytes=0-15' }],
      ] as const) {
        const { status, body } = await client.send(method, path, { headers })
        if (![400, 401, 403, 404].includes(status) || body.includes(bytes.subarray(0, 16)))
          faults.push(`${name}: ${method} ${path}: ${status}`)
      }
  t.strictSame(faults, [], `${readers.length} readers get nothing of ${paths.length} contents`)
}

/** No list names any of some texts. */
async function checkUnlisted(
  t: Test,
  readers: readonly Reader[],
  lists: readonly string[],
  texts: readonly string[],
) {
  const faults: string[] = []
  for (const { name, client } of readers)
    for (const path of lists) {
      const { status, body } = await client.send('GET', path)
      // A refusal repeats the name in the path.
      if (status >= 400) continue
      for (const text of texts) if (body.includes(text)) faults.push(`${name}: ${path} has ${text}`)
    }
  t.strictSame(faults, [], `${lists.length} lists name nothing of it`)
}

for (const source of SOURCES)
  t.test(`no client can read content in the trash ${source && `(CONTENT_FROM=${source})`}`, async (t) => {
    // The tokens from before the deletion are used for longer than five minutes on a busy machine.
    const env = { ANONYMOUS_PULL: 'true', TOKEN_TTL_SECONDS: '3600', ...(source && { CONTENT_FROM: source }) }
    const system = await startSystem(t, { env })
    const admin = createRegistryClient(system.url, basic(system.admin))
    const tokens = await registryTokens(system)
    const trashOf = async () => (await admin.send('GET', '/namespaces/team/trash')).json.items
    const restore = async (id: string) => {
      const restored = await admin.send('POST', `/namespaces/team/trash/${id}/restore`)
      t.match(restored, { status: 200, json: { missing: [] } })
    }
    const setGlobal = async (repository: string) => {
      const body = '{"scope":"global"}'
      t.equal(
        (await admin.send('PUT', `${API}/repositories/${repository}`, { headers: json, body })).status,
        200,
      )
    }
    const index = makeIndex([makeImage(), makeImage()])
    const signature = makeImage({
      config: EMPTY,
      layers: [randomLayer(64)],
      fields: { artifactType: 'application/vnd.example.signature', subject: index.descriptor },
    })
    await admin.push('team/app', index, 'v1')
    await admin.push('team/stays', makeImage(), 'stays')
    for (const repository of ['team/app', 'team/stays']) await setGlobal(repository)
    await admin.push('team/app', signature)
    const accounts = await readersOf(system, 'team/app')
    const readers = [...accounts, await anonymousOf(system, 'team/app')]
    const byTag = ['/v2/team/app/manifests/v1', index.bytes] as const
    const ofIndex = [byTag, ...pathsOf('team/app', index)]
    const all = [...ofIndex, ...pathsOf('team/app', signature)]
    const { digest } = index.descriptor
    const provider = `/containerregistries/registries/${tokens.registryId}`
    const lists = [
      '/v2/_catalog?n=1000',
      '/v2/team/app/tags/list',
      `/v2/team/app/referrers/${digest}`,
      `${API}/repositories`,
      `${API}/repositories/team/app`,
      `${API}/tags?repository=team/app`,
      `${API}/manifests?repository=team/app`,
      `${provider}/repositories`,
      `${provider}/artifacts`,
      `${provider}/repositories/team%2Fapp/artifacts`,
      `${provider}/repositories/team%2Fapp/artifacts/${digest}`,
    ]
    /** Paths that name the storage of the trash. */
    const filesOf = (id: string) =>
      pathsOf(`registry-manager-trash/${id}`, index).flatMap(([path, bytes]) => [
        [path, bytes] as const,
        [
          path.replace('registry-manager-trash/', 'team/app/..%2F..%2Fregistry-manager-trash/'),
          bytes,
        ] as const,
        [path.replace('registry-manager-trash/', 'registry-manager-trash%2F'), bytes] as const,
      ])
    const checkMounts = async (t: Test, names: readonly string[]) => {
      for (const blob of index.children.flatMap(({ blobs }) => blobs))
        for (const from of [...names.map((name) => `&from=${name}`), '']) {
          const target = `/v2/team/stays/blobs/uploads/?mount=${digestOf(blob)}${from}`
          const { status } = await admin.send('POST', target)
          // The name of the trash is not a valid name.
          t.equal(status, from.includes('trash') ? 400 : 202, `nothing is mounted${from}`)
        }
    }

    await t.test('of a deleted image index', async (t) => {
      await checkReadable(t, readers, all)
      t.equal((await admin.send('DELETE', `/v2/team/app/manifests/${digest}`)).status, 202)
      await checkUnreadable(t, readers, [byTag, ...pathsOf('team/app', { ...index, children: [] })])
      for (const child of index.children)
        t.equal((await admin.send('DELETE', `/v2/team/app/manifests/${child.descriptor.digest}`)).status, 202)
      await checkUnreadable(t, readers, ofIndex)
      await checkReadable(t, readers, pathsOf('team/app', signature))
      const [entry, ...others] = (await trashOf()).toReversed()
      t.equal(others.length, 2)
      await checkUnreadable(t, readers, filesOf(entry.id))
      // The list of the manifests names the subject of the signature.
      const named = index.children.map(({ descriptor }) => descriptor.digest)
      await checkUnlisted(t, readers, lists, ['"v1"', 'registry-manager-trash', ...named])
      await checkMounts(t, ['team/app', `registry-manager-trash/${entry.id}`])
      const history = await admin.send('GET', `${API}/repositories/team%2Fapp/tags/v1/history`)
      t.match(history.json.items, [{ digest, restorable: false }])
      await restore(entry.id)
      await checkReadable(t, readers, all)
      for (const { id } of others) await restore(id)
    })

    await t.test('of a deleted repository', async (t) => {
      t.equal((await admin.send('DELETE', `${API}/repositories/team/app`)).status, 200)
      await checkUnreadable(t, readers, all)
      const [entry] = await trashOf()
      await checkUnreadable(t, readers, filesOf(entry.id))
      await checkUnlisted(t, readers, lists, [
        'team/app"',
        '"v1"',
        'registry-manager-trash',
        signature.descriptor.digest,
      ])
      await checkMounts(t, ['team/app', `registry-manager-trash/${entry.id}`])
      // The next repository of this name does not have it either.
      await admin.push('team/app', makeImage(), 'other')
      await setGlobal('team/app')
      await checkUnreadable(t, readers, all)
      await checkUnlisted(t, readers, lists, [
        '"v1"',
        'registry-manager-trash',
        digest,
        signature.descriptor.digest,
      ])
      await restore(entry.id)
      // The end of a global repository ends the tokens of anonymous clients for its name.
      await checkReadable(t, [...accounts, await anonymousOf(system, 'team/app')], all)
    })
  })
