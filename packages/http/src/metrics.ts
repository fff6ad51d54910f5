import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** The metrics registry of one service. Nothing is global, so that several services can run in one process. */
export interface Metrics {
  readonly registry: Registry
  readonly requestSeconds: Histogram<'method' | 'route' | 'status'>
}

/** Creates the metrics of every service. Names follow Prometheus' conventions: base units, `_seconds`. */
export function createMetrics(service: string): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  const requestSeconds = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the request to the last byte of the response',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  })
  return { registry, requestSeconds }
}

const LABEL = 'metricsRoute'

/**
 * Counts a request under this label instead of its route's pattern. The label must be one of a few words, never a
 * string from a client.
 */
export function labelRoute(request: FastifyRequest, label: string): void {
  request.setDecorator<string>(LABEL, label)
}

/** Observes every response under its route's pattern, never its URL: that would create a series for each image. */
export function countRequests(app: FastifyInstance, { requestSeconds }: Metrics): void {
  app.decorateRequest(LABEL, null)
  app.addHook('onResponse', async (request, reply) => {
    const route = request.getDecorator<string | null>(LABEL) ?? request.routeOptions.url ?? 'none'
    requestSeconds.observe(
      { method: request.method, route, status: reply.statusCode },
      reply.elapsedTime / 1000,
    )
  })
}

const STATUSES = ['ok', 'degraded', 'failed'] as const

export interface CheckResult {
  readonly name: string
  readonly status: (typeof STATUSES)[number]
  readonly reason?: string
}

/** Runs the health checks at every scrape and reports the same results as `/readyz`. */
export function measureChecks(
  { registry }: Metrics,
  runChecks: () => Promise<readonly CheckResult[]>,
): Gauge<'part'> {
  return new Gauge({
    name: 'health_check_status',
    help: 'Result of a health check: 0 ok, 1 degraded, 2 failed',
    labelNames: ['part'] as const,
    registers: [registry],
    async collect() {
      for (const { name, status } of await runChecks()) this.set({ part: name }, STATUSES.indexOf(status))
    },
  })
}
