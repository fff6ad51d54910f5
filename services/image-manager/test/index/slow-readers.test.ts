import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import type { ManageRepositoriesPorts } from '../../src/index/manage-repositories.ts'
import { createManageRepositories } from '../../src/index/manage-repositories.ts'
import type { RepositoryJsonPorts } from '../../src/index/repository-json.ts'
import { repositoriesRoutes } from '../../src/index/repositories-routes.ts'
import { until } from '@registry-manager/testing/until'

const [BATCHES, BATCH_BYTES] = [2000, 100 * 1024]
const MANIFEST = JSON.stringify({ filling: 'x'.repeat(BATCH_BYTES) })

/** The routes over an index of 200 MB that counts how much was read and notes when reading ends. */
async function startLongList() {
  const read = { batches: 0, ended: false }
  const visibleRepositories: RepositoryJsonPorts['visibleRepositories'] = {
    async listRepositories(_visibility, { limit, after }) {
      const first = after === '' ? 0 : Number(after.slice('team/'.length)) + 1
      const count = Math.min(limit, BATCHES - first)
      return Array.from({ length: count }, (_, at) => {
        const name = `team/${String(first + at).padStart(6, '0')}`
        return { id: name, name, scope: 'namespace' }
      })
    },
  }
  const taggedManifests: RepositoryJsonPorts['taggedManifests'] = {
    async *readTaggedManifests(ids) {
      try {
        for (const repositoryId of ids) {
          read.batches += 1
          yield [{ repositoryId, name: 'latest', manifest: MANIFEST }]
        }
      } finally {
        read.ended = true
      }
    },
  }
  const ports = { visibleRepositories, taggedManifests } as Partial<ManageRepositoriesPorts>
  const principal = { uid: '1', access: null }
  const requestPrincipal = { kind: 'user', id: '1', name: 'jane' } as const
  const app = Fastify()
  await app.register(repositoriesRoutes, {
    authenticator: {
      authenticate: async () => ({ outcome: 'principal', principal, requestPrincipal, token: '' }),
    },
    realm: 'https://registry.test/auth/v2/token',
    service: 'registry.test',
    findAccount: async () => ({ kind: 'user', role: 'administrator', namespaces: [], generation: 1 }),
    manageRepositories: createManageRepositories(ports as ManageRepositoriesPorts),
    unavailableDependency: () => undefined,
    now: Date.now,
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { app, read, url: `http://127.0.0.1:${port}/image-manager/api/v1/repositories` }
}

const { app, read, url } = await startLongList()
t.teardown(() => app.close())

async function ask(): Promise<IncomingMessage> {
  const [answer] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage]
  return answer
}

/** Waits until no batch was read for half a second. Returns how many were read. */
async function untilStill(): Promise<number> {
  for (let before = -1; before !== read.batches;) {
    before = read.batches
    await sleep(500)
  }
  return read.batches
}

t.test('a list is read from the index no faster than the client reads the response', async (t) => {
  const answer = await ask()
  t.equal(answer.statusCode, 200)
  // The client reads nothing: only the sockets' buffers fill.
  const still = await untilStill()
  t.ok(still < BATCHES / 4, `${still} of ${BATCHES} batches were read for a client that reads nothing`)
  t.notOk(read.ended)

  await t.test('reading a list stops when the client disconnects', async (t) => {
    answer.destroy()
    await until(() => read.ended)
    t.ok(read.batches < BATCHES / 4)
  })
})

t.test('a client that reads all of a list gets all of it', async (t) => {
  read.batches = 0
  const answer = await ask()
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) bytes += chunk.length
  t.equal(read.batches, BATCHES)
  t.ok(bytes > BATCHES * BATCH_BYTES)
})
