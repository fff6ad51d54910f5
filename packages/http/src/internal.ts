import { createHash, timingSafeEqual } from 'node:crypto'
import { explainError } from './explain-error.ts'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { isLeaving } from './drain.ts'
import type { Metrics, PartStatus } from './metrics.ts'
import { measureParts } from './metrics.ts'
import { ProblemError } from './problem.ts'

/** Answers whether a part works: `ok`, or why it works less well than it should. Throws when it does not. */
export type HealthCheck = () => Promise<'ok' | { degraded: string }>

export interface InternalOptions {
  readonly metrics: Metrics
  readonly checks: Readonly<Record<string, HealthCheck>>
}

/** Probes and metrics: `/livez`, `/readyz`, `/metrics`. Internal port only. */
export const health: FastifyPluginAsync<InternalOptions> = async (app, { metrics, checks }) => {
  const look = () => Promise.all(Object.entries(checks).map(runCheck))
  measureParts(metrics, look)

  app.get('/livez', async () => ({ status: 'ok' }))

  app.get('/readyz', async (_request, reply) => {
    if (isLeaving(app.server)) return reply.code(503).send({ status: 'stopping' })
    const results = await look()
    const ready = results.every(({ status }) => status !== 'failed')
    const parts = Object.fromEntries(results.map(({ name, ...result }) => [name, result]))
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'failed', parts })
  })

  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
}

async function runCheck([name, check]: [string, HealthCheck]): Promise<PartStatus> {
  try {
    const result = await check()
    return result === 'ok' ? { name, status: 'ok' } : { name, status: 'degraded', reason: result.degraded }
  } catch (error) {
    return { name, status: 'failed', reason: explainError(error) }
  }
}

/** Lets only holders of the shared service credential (`Authorization: Bearer …`) at a plugin's routes. */
export function requireServiceCredential(app: FastifyInstance, credential: string): void {
  const expected = sha256(`Bearer ${credential}`)
  app.addHook('onRequest', async (request) => {
    if (!timingSafeEqual(sha256(request.headers.authorization ?? ''), expected)) {
      throw new ProblemError({ status: 401, detail: 'the service credential is missing or wrong' })
    }
  })
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
