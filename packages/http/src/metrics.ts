import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** A service's own metrics registry; nothing is global, so several services fit in one process. */
export interface Metrics {
  readonly registry: Registry
  readonly requestSeconds: Histogram<'method' | 'route' | 'status'>
}

/** Makes the metrics that every service has. Names follow Prometheus' conventions: base units, `_seconds`. */
export function createMetrics(service: string): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  const requestSeconds = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from request to last byte of the answer',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  })
  return { registry, requestSeconds }
}

const LABEL = 'metricsRoute'

/**
 * Has a request counted under this label instead of its route's pattern: one of a few words, never a client's
 * text.
 */
export function labelRoute(request: FastifyRequest, label: string): void {
  request.setDecorator<string>(LABEL, label)
}

/** Observes every answer under its route's pattern (never the URL: that would be a label for each image). */
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

export interface PartStatus {
  readonly name: string
  readonly status: (typeof STATUSES)[number]
  readonly reason?: string
}

/** Tells at every scrape how the parts of a service are, as `/readyz` does. */
export function measureParts(
  { registry }: Metrics,
  look: () => Promise<readonly PartStatus[]>,
): Gauge<'part'> {
  return new Gauge({
    name: 'health_check_status',
    help: 'What a part of the service is: 0 ok, 1 degraded, 2 failed',
    labelNames: ['part'] as const,
    registers: [registry],
    async collect() {
      for (const { name, status } of await look()) this.set({ part: name }, STATUSES.indexOf(status))
    },
  })
}
