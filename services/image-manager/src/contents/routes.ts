import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ArtifactsContents, RepositoriesContents, UsageAnswer } from '@registry-manager/principal'
import { ProblemError } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import { Type } from 'typebox'
import type { ContentsQueries } from './contents-queries.ts'

export interface ContentsRoutesOptions {
  readonly queries: ContentsQueries
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const whole = Type.String({ pattern: String.raw`^\d{1,15}$` })
const page = { offset: whole, limit: whole, orderBy: Type.String() }
const AskedRepositories = Type.Object({
  ...page,
  search: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
})
const AskedArtifacts = Type.Object({
  ...page,
  repository: Type.Optional(Type.String()),
  digest: Type.Optional(Type.String()),
})

/** All sizes are read for it: so often at the most, in milliseconds. */
const USAGE_MS = 300_000
/** So long is waited for it, in milliseconds: auth-service gives up after 5 s. */
const USAGE_WAIT_MS = 3000

/** What auth-service tells administrators of the registry's contents, in the provider's shapes. */
export const contents: FastifyPluginAsyncTypebox<ContentsRoutesOptions> = async (app, { queries, now }) => {
  app.get(
    '/internal/contents/repositories',
    { schema: { querystring: AskedRepositories, response: { 200: RepositoriesContents } } },
    async ({ query }) => {
      const { rows, total } = await queries.listRepositories({ ...query, ...numbers(query) })
      const repositories = rows.map(({ createdAt, pushedAt, ...same }) => ({
        ...same,
        createdAt: createdAt.toISOString(),
        pushedAt: pushedAt.toISOString(),
      }))
      return { repositories, total }
    },
  )

  app.get(
    '/internal/contents/artifacts',
    { schema: { querystring: AskedArtifacts, response: { 200: ArtifactsContents } } },
    async ({ query }) => {
      const { repository } = query
      if (repository !== undefined && !(await queries.hasRepository(repository))) {
        throw new ProblemError({ status: 404, detail: 'there is no such repository' })
      }
      const { rows, total } = await queries.listArtifacts({ ...query, ...numbers(query) })
      const artifacts = rows.map((row) => ({ ...row, pushedAt: row.pushedAt.toISOString() }))
      return { artifacts, total }
    },
  )

  let known = { bytes: null as number | null, updatedAt: null as string | null }
  let countAgainAt = 0
  const count = async (log: FastifyBaseLogger) => {
    try {
      known = { bytes: await queries.usage(), updatedAt: new Date(now()).toISOString() }
    } catch (err) {
      // The last figure has to do.
      log.warn({ err }, 'could not count the storage in use')
    }
  }
  app.get('/internal/contents/usage', { schema: { response: { 200: UsageAnswer } } }, async (request) => {
    if (now() < countAgainAt) return known
    countAgainAt = now() + USAGE_MS
    const counting = count(request.log)
    // In a large registry it takes longer than the principal waits: then the figure comes with a later answer.
    await Promise.race([counting, sleep(USAGE_WAIT_MS, undefined, { ref: false })])
    return known
  })
}

function numbers({ offset, limit }: { offset: string; limit: string }) {
  return { offset: Number(offset), limit: Number(limit) }
}
