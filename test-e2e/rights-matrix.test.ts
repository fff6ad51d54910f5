import t from 'tap'
import { makeImage, makeIndex } from './harness/manifests.ts'
import type { RegistryResponse, RegistryClient } from './harness/registry-client.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import type { Credential, Endpoint, Kind, Outcome } from './harness/rights.ts'
import { CREDENTIALS, ENDPOINTS, KINDS, ROLES, SCOPES, listedFor, outcomeOf } from './harness/rights.ts'
import type { Credentials } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/*
 * Every role × credential × endpoint × kind of repository over HTTP. Permitted requests succeed, others are refused,
 * and an invisible repository cannot be told from one that does not exist.
 */

interface Cell {
  readonly title: string
  readonly role: string
  readonly credential: Credential
  readonly kind: string
  readonly endpoint: Endpoint
  readonly expected: Outcome
  /** A repository of the cell's own if the request changes it, otherwise a shared one. */
  readonly name: string
}

const image = makeImage({ layers: [] })
const MOUNTS = 'own/mounts'

const cells: readonly Cell[] = Object.keys(ROLES).flatMap((role) =>
  CREDENTIALS.flatMap((credential) =>
    Object.entries(KINDS).flatMap(([kind, what]) =>
      Object.entries(ENDPOINTS).map(([operation, endpoint], number) => {
        const expected = outcomeOf(endpoint, role, what, credential)
        const changed = what.exists ? 'existing repositories' : 'absent repositories'
        const isChanged = expected.isPermitted && endpoint.changes === changed
        const suffix = `${role}-${credential}-${number}`.replaceAll(' ', '-')
        return {
          title: `${role}, ${credential}: ${operation}, ${kind}`,
          role,
          credential,
          kind,
          endpoint,
          expected,
          name: isChanged ? `${what.name}-${suffix}` : what.name,
        }
      }),
    ),
  ),
)

const system = await startSystem(t)
const accounts: Readonly<Record<string, Credentials>> = {
  'cluster-administrator': system.admin,
  administrator: await system.createUser('adam', ['own'], 'administrator'),
  user: await system.createUser('ulla', ['own'], 'user'),
  reader: await system.createUser('rita', []),
  developer: await system.createUser('dave', []),
  maintainer: await system.createUser('mina', []),
  owner: await system.createUser('otto', []),
}
const root = createRegistryClient(system.url, basic(system.admin))
const granted = await root.send('PUT', '/namespaces/own/grants', {
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    items: ['reader', 'developer', 'maintainer', 'owner'].map((role) => ({
      subject: { kind: 'user', name: accounts[role]?.username },
      repositories: 'own/*',
      role,
    })),
  }),
})
if (granted.status !== 200) throw new Error(`PUT /namespaces/own/grants: ${granted.status} ${granted.body}`)

/** Runs work for every item, with limited concurrency. */
async function forEach<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: 6 }, worker))
}

async function setScope(name: string, scope: string): Promise<void> {
  const path = `/image-manager/api/v1/repositories/${name}`
  const { status } = await root.send('PUT', path, { body: JSON.stringify({ scope }) })
  if (status !== 200) throw new Error(`the scope of ${name}: ${status}`)
}

const repositories = new Map<string, Kind>(
  cells.map(({ name, kind }) => [name, KINDS[kind] as Kind] as const).filter(([, { exists }]) => exists),
)
await forEach([...repositories], async ([name, { belongs }]) => {
  await root.push(name, image, 'v1')
  if (belongs === 'global') await setScope(name, 'global')
})
await root.push(MOUNTS, image, 'v1')

const clients = new Map<string, RegistryClient>()
for (const [role, account] of Object.entries(accounts)) {
  const names = new Set([MOUNTS, ...cells.filter((cell) => cell.role === role).map(({ name }) => name)])
  for (const credential of CREDENTIALS) {
    const scopes =
      credential === 'scoped token' || credential === 'pull token' ? SCOPES[credential] : undefined
    const scope =
      scopes &&
      [
        ...(scopes.catalog ? ['registry:catalog:*'] : []),
        ...[...names].map((name) => `repository:${name}:${scopes.actions.join(',')}`),
      ].join(' ')
    const token = credential === 'basic' ? undefined : await tokenFor(system, account, scope)
    const authorization = token === undefined ? basic(account) : `Bearer ${token}`
    clients.set(`${role} ${credential}`, createRegistryClient(system.url, authorization))
  }
}
const clientOf = (role: string, credential: Credential) =>
  clients.get(`${role} ${credential}`) as RegistryClient

async function request({ role, credential, endpoint, name, kind }: Cell): Promise<RegistryResponse> {
  const path = endpoint.path
    .replace('NAME', name)
    .replace('MANIFEST', image.descriptor.digest)
    .replace('BLOB', JSON.parse(image.bytes.toString()).config.digest)
  const index = makeIndex([])
  const isManagement = !path.startsWith('/v2/')
  const body = isManagement
    ? JSON.stringify({ scope: KINDS[kind]?.belongs === 'global' ? 'global' : 'namespace' })
    : index.bytes
  const headers = { 'content-type': isManagement ? 'application/json' : index.descriptor.mediaType }
  return clientOf(role, credential).send(
    endpoint.method,
    path,
    endpoint.method === 'PUT' ? { body, headers } : {},
  )
}

const responses = new Map<Cell, RegistryResponse>()
await forEach(cells, async (cell) => void responses.set(cell, await request(cell)))
const responseOf = (cell: Cell) => responses.get(cell) as RegistryResponse

t.test('every role, credential, endpoint and repository has the status of the design', async (t) => {
  for (const cell of cells) {
    const { status, code, headers } = responseOf(cell)
    t.equal(status, cell.expected.status, cell.title)
    if (
      !cell.endpoint.path.startsWith('/v2/') ||
      cell.expected.isPermitted ||
      cell.endpoint.method === 'HEAD'
    )
      continue
    t.equal(code, status === 403 ? 'DENIED' : 'UNAUTHORIZED', cell.title)
    if (status === 401)
      t.match(headers['www-authenticate'], /^Bearer realm=.*error="insufficient_scope"/, cell.title)
  }
  t.ok(cells.length > 800, `${cells.length} cells`)
})

t.test('an invisible repository gets the same responses as one that does not exist', async (t) => {
  const [foreign, absent] = [KINDS['foreign']?.name ?? '', KINDS['absent']?.name ?? '']
  t.equal(foreign.length, absent.length)
  const seen = ({ status, headers: { date: _date, ...headers }, body }: RegistryResponse, name: string) =>
    JSON.parse(JSON.stringify({ status, headers, body: body.toString() }).replaceAll(name, 'NAME'))
  let compared = 0
  for (const cell of cells.filter(({ kind }) => kind === 'foreign')) {
    const { title, role, credential, endpoint, expected } = cell
    const twin = cells.find(
      (other) =>
        other.kind === 'absent' &&
        other.role === role &&
        other.credential === credential &&
        other.endpoint === endpoint,
    )
    // A principal that sees only one of the two repositories gets different responses.
    if (twin === undefined || expected.isPermitted || twin.expected.status !== expected.status) continue
    t.strictSame(seen(responseOf(cell), foreign), seen(responseOf(twin), absent), title)
    compared++
  }
  const ofUsers = CREDENTIALS.length * Object.keys(ENDPOINTS).length
  t.ok(compared > ofUsers, `${compared} cells were compared, all ${ofUsers} of users among them`)
})

t.test('refused requests change nothing', async (t) => {
  for (const { name, exists, belongs } of Object.values(KINDS)) {
    const { status, json } = await root.send('GET', `/image-manager/api/v1/repositories/${name}`)
    t.equal(status, exists ? 200 : 404, name)
    if (!exists) continue
    t.equal(json.scope, belongs === 'global' ? 'global' : 'namespace', name)
    t.ok((await root.send('GET', `/v2/${name}/manifests/v1`)).body.equals(image.bytes), name)
    const { config } = JSON.parse(image.bytes.toString())
    t.equal((await root.send('GET', `/v2/${name}/blobs/${config.digest}`)).status, 200, name)
  }
})

t.test(
  'the catalog and the list of repositories show only repositories that the principal may pull',
  async (t) => {
    const paths = {
      catalog: '/v2/_catalog?n=1000',
      management: '/image-manager/api/v1/repositories',
    } as const
    for (const role of Object.keys(ROLES)) {
      for (const credential of CREDENTIALS) {
        for (const list of ['catalog', 'management'] as const) {
          const title = `${role}, ${credential}: ${list}`
          const expected = listedFor(list, role, credential)
          const { status, json } = await clientOf(role, credential).send('GET', paths[list])
          t.equal(status, expected === undefined ? (list === 'catalog' ? 401 : 403) : 200, title)
          if (expected === undefined) continue
          const names = new Set(
            json.repositories.map((one: string | { name: string }) =>
              typeof one === 'string' ? one : one.name,
            ),
          )
          const shown = Object.keys(KINDS).filter((kind) => names.has(KINDS[kind]?.name))
          t.strictSame(shown, expected, title)
        }
      }
    }
  },
)

t.test('a blob is mounted only from a repository that the principal may pull', async (t) => {
  const { config } = JSON.parse(image.bytes.toString())
  for (const role of Object.keys(ROLES)) {
    for (const credential of CREDENTIALS) {
      for (const [kind, { name, belongs, exists }] of Object.entries(KINDS)) {
        const isPulled = exists && ROLES[role]?.[belongs].includes('pull')
        const mayPush =
          (credential === 'basic' || credential === 'scoped token') && ROLES[role]?.own.includes('push')
        const refused = credential === 'basic' ? 403 : 401
        const path = `/v2/${MOUNTS}/blobs/uploads/?mount=${config.digest}&from=${name}`
        const { status } = await clientOf(role, credential).send('POST', path)
        t.equal(status, mayPush ? (isPulled ? 201 : 202) : refused, `${role}, ${credential}: from ${kind}`)
      }
    }
  }
})

t.test('GET /v2/ accepts every credential and requires one', async (t) => {
  for (const client of clients.values()) t.equal((await client.send('GET', '/v2/')).status, 200)
  const nobody = createRegistryClient(system.url, '')
  for (const { path, method } of Object.values(ENDPOINTS)) {
    const { status } = await nobody.send(
      method,
      path.replace('NAME', 'far/shared').replace(/MANIFEST|BLOB/, image.descriptor.digest),
    )
    t.equal(status, 401, `${method} ${path} without credentials is refused`)
  }
})
