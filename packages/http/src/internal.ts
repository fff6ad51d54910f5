import { createHash, timingSafeEqual } from 'node:crypto'
import { explainError } from './explain-error.ts'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { isStopping } from './drain.ts'
import type { CheckResult, Metrics } from './metrics.ts'
import { measureChecks } from './metrics.ts'
import { Type } from 'typebox'
import { ProblemError } from './problem.ts'
import { acceptRequestContext } from './request-context.ts'

/** Checks a dependency or a component. Returns `ok`, or the reason why it is degraded. Throws if it does not work. */
export type HealthCheck = () => Promise<'ok' | { degraded: string }>

export interface InternalOptions {
  readonly metrics: Metrics
  readonly checks: Readonly<Record<string, HealthCheck>>
}

const Status = Type.Object({ status: Type.String() })
const Readiness = Type.Object({
  status: Type.Enum(['ok', 'failed', 'stopping']),
  /** By the name of the check; none while the process stops. */
  parts: Type.Optional(
    Type.Record(Type.String(), Type.Object({ status: Type.String(), reason: Type.Optional(Type.String()) })),
  ),
})
const MetricsText = { content: { 'text/plain': { schema: Type.String() } } }

/** Probes and metrics: `/livez`, `/readyz` and `/metrics`. For the internal port only. */
export const health: FastifyPluginAsync<InternalOptions> = async (app, { metrics, checks }) => {
  const runChecks = () => Promise.all(Object.entries(checks).map(runCheck))
  measureChecks(metrics, runChecks)

  app.get('/livez', { schema: { response: { 200: Status } } }, async () => ({ status: 'ok' }))

  app.get(
    '/readyz',
    { schema: { response: { 200: Readiness, 503: Readiness } } },
    async (_request, reply) => {
      if (isStopping(app.server)) return reply.code(503).send({ status: 'stopping' })
      const results = await runChecks()
      const ready = results.every(({ status }) => status !== 'failed')
      const parts = Object.fromEntries(results.map(({ name, ...result }) => [name, result]))
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'failed', parts })
    },
  )

  app.get('/metrics', { schema: { response: { 200: MetricsText } } }, async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
}

async function runCheck([name, check]: [string, HealthCheck]): Promise<CheckResult> {
  try {
    const result = await check()
    return result === 'ok' ? { name, status: 'ok' } : { name, status: 'degraded', reason: result.degraded }
  } catch (error) {
    return { name, status: 'failed', reason: explainError(error) }
  }
}

/**
 * Requires the shared service credential (`Authorization: Bearer …`) for all routes of a plugin. The header with the
 * request context is read only if that credential is right.
 */
export function requireServiceCredential(app: FastifyInstance, credential: string): void {
  const expected = sha256(`Bearer ${credential}`)
  app.addHook('onRequest', async (request) => {
    if (!timingSafeEqual(sha256(request.headers.authorization ?? ''), expected)) {
      throw new ProblemError({ status: 401, detail: 'the service credential is missing or wrong' })
    }
  })
  acceptRequestContext(app)
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
