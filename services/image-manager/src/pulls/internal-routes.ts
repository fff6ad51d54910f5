import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { PullBatch, PullBatchResponse } from '@registry-manager/principal'
import type { PullCount } from './pull-count.ts'

export interface PullsInternalRoutesOptions {
  readonly addPulls: (batch: string, pulls: readonly PullCount[]) => Promise<void>
}

/** More than a batch of the longest names needs. */
const MAX_BATCH_BYTES = 1024 * 1024

/** The route by which registry-proxy reports pulls. */
export const pullsInternalRoutes: FastifyPluginAsyncTypebox<PullsInternalRoutesOptions> = async (
  app,
  { addPulls },
) => {
  app.post(
    '/internal/pulls',
    { bodyLimit: MAX_BATCH_BYTES, schema: { body: PullBatch, response: { 200: PullBatchResponse } } },
    async ({ body: { id, pulls } }) => {
      await addPulls(
        id,
        pulls.map(({ lastAt, ...pull }) => ({ ...pull, lastAt: new Date(lastAt) })),
      )
      return { known: true as const }
    },
  )
}
