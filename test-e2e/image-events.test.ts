import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import { ask } from './harness/ask.ts'
import { digestOf, makeImage } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { runCommand } from './harness/run-command.ts'
import { commandsOfSpace } from './harness/space-page.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/* Every change of an image through the real services has an event with the principal that made it. */

const REPOSITORY = 'team/audited'
const API = `/image-manager/api/v1/repositories/${REPOSITORY}`

const system = await startSystem(t)
const password = await system.createUser('auditee', ['team'])
const jane = createRegistryClient(system.url, basic(password))

interface Event {
  readonly action: string
  readonly outcome: string
  readonly principal: object
  readonly address: string
  readonly requestId: string
  readonly target: Readonly<Record<string, unknown>>
  readonly detail: Readonly<Record<string, unknown>>
}

/** The events of the repository, oldest first. */
async function events(): Promise<Event[]> {
  const { status, text, json } = await ask(system, `/audit?repository=${REPOSITORY}&limit=200`, {
    as: system.admin,
  })
  if (status !== 200) throw new Error(`GET /audit: ${status} ${text}`)
  return (json as { items: Event[] }).items.toReversed()
}

t.test('pushes, deletions and changes of the scope have events that name their principal', async (t) => {
  const [first, second] = [makeImage(), makeImage()]
  const digests = [first, second].map(({ descriptor }) => descriptor.digest)
  const send = async (method: string, path: string, statuses: readonly number[], body?: string) => {
    const { status, text } = await ask(system, path, { method, as: password, body })
    t.ok(statuses.includes(status), `${method} ${path}: ${status} ${text}`)
  }
  await jane.push(REPOSITORY, first, 'v1')
  await jane.push(REPOSITORY, second, 'v1')
  await jane.push(REPOSITORY, second, 'v2')
  await send('PUT', API, [200], JSON.stringify({ scope: 'global' }))
  await send('DELETE', `/v2/${REPOSITORY}/manifests/v2`, [202])
  await send('DELETE', `/v2/${REPOSITORY}/manifests/${digests[1]}`, [202])
  await send('DELETE', API, [200])

  const found = await events()
  t.match(
    found.map(({ action, target, detail }) => ({ action, target, detail })),
    [
      { action: 'push', target: { name: `${REPOSITORY}:v1`, digest: digests[0] } },
      { action: 'push', target: { name: `${REPOSITORY}:v1`, digest: digests[1] } },
      { action: 'tag.move', detail: { from: digests[0], to: digests[1] } },
      { action: 'push', target: { name: `${REPOSITORY}:v2`, digest: digests[1] } },
      { action: 'repository.scope', detail: { from: 'namespace', to: 'global' } },
      { action: 'tag.delete', target: { name: `${REPOSITORY}:v2`, digest: digests[1] } },
      { action: 'manifest.delete', target: { digest: digests[1] } },
      { action: 'tag.delete', target: { name: `${REPOSITORY}:v1` }, detail: { with: 'manifest' } },
      { action: 'repository.delete', target: { name: REPOSITORY } },
    ],
  )
  t.equal(found.length, 9)
  for (const { action, principal, address, requestId, outcome } of found) {
    t.match(principal, { kind: 'user', name: 'auditee', id: /./ }, action)
    t.match(
      { address, requestId, outcome },
      { address: /^[\d.:a-f]+$/, requestId: /./, outcome: 'done' },
      action,
    )
  }
})

t.test('the access log names the account of every request, and no client sees the header', async (t) => {
  const image = makeImage()
  await jane.push('team/logged', image, 'v1')
  const bearer = await tokenFor(system, password, 'repository:team/logged:pull')
  const [blob] = image.blobs
  const paths = [
    '/user',
    '/image-manager/api/v1/repositories/team/logged',
    '/v2/team/logged/manifests/v1',
    `/v2/team/logged/blobs/${digestOf(blob ?? '')}`,
  ]
  for (const path of paths) {
    const { status, headers } = await ask(
      system,
      path,
      path.startsWith('/v2/') ? { bearer } : { as: password },
    )
    t.equal(status, 200, path)
    t.equal(headers.get('x-account'), null, path)
  }
  // `npm start` has no nginx.
  if (process.env['E2E_TARGET'] !== 'stack') return
  const file = join(system.dataDir, 'logs', 'access.log')
  for (const path of paths) {
    const isLogged = (line: string) =>
      ['"account":"auditee"', '"method":"GET"', `"path":"${path}"`, '"status":"200"'].every((part) =>
        line.includes(part),
      )
    await until(
      async () => (await readFile(file, 'utf8')).split('\n').some(isLogged),
      `${path} in the access log`,
    )
  }
})

t.test(
  'docs/space.md: a tag has a history, and is restored to the manifest that it named at a given time',
  async (t) => {
    const [list = '', restore = '', ...others] = commandsOfSpace('History of a tag')
    t.strictSame(others, [], 'every block of the section is run')
    const [first, second] = [makeImage(), makeImage()]
    const [one, two] = [first.descriptor.digest, second.descriptor.digest]
    await jane.push('team/app', first, 'v1')
    const time = new Date().toISOString()
    await jane.push('team/app', second, 'v1')
    const run = async (command: string) => {
      const script = command
        .replaceAll('https://registry.example.com', system.url)
        .replaceAll('2027-03-02T09:00:00Z', time)
        .replaceAll(/sha256:2{64}/g, two)
      const env = { JANE: `${password.username}:${password.password}` }
      return (await runCommand('sh', ['-euc', script], { env })).stdout
    }
    const by = { kind: 'user', name: 'auditee' }
    t.match(JSON.parse(await run(list)), {
      items: [
        { digest: two, previous: one, startedBy: by, endedAt: null, endedBy: null, restorable: true },
        { digest: one, previous: null, startedBy: by, endedBy: by, restorable: true },
      ],
      next: null,
    })
    const restored = [one, two].map((digest) => JSON.stringify({ tag: 'v1', digest }))
    t.equal(await run(restore), restored.join(''))
    t.equal((await jane.send('HEAD', '/v2/team/app/manifests/v1')).headers['docker-content-digest'], two)
    t.equal((await jane.send('DELETE', '/v2/team/app/manifests/v1')).status, 202)
    await run(restore)
    t.equal((await jane.send('GET', '/v2/team/app/manifests/v1')).status, 200, 'a deleted tag is back')
    const { items } = JSON.parse(await run(list))
    t.equal(items.length, 6)
  },
)
