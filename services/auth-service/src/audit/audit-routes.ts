import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField } from '@registry-manager/http'
import type { Static } from 'typebox'
import type { ManagementApiOptions } from '../sign-in/management-api.ts'
import { managementApi } from '../sign-in/management-api.ts'
import { onlyAdministrators } from '../sign-in/require-principal.ts'
import type { EventsQuery } from './event-json.ts'
import { LIST_EVENTS, NDJSON, eventBody, formatPosition, parsePosition } from './event-json.ts'
import type { EventFilter, EventPosition, ListEvents, StoredEvent } from './list-events.ts'

export interface AuditRoutesOptions extends ManagementApiOptions {
  readonly listEvents: ListEvents
}

const DEFAULT_PAGE = 50

/** The audit API: events of all services, newest first, for cluster administrators. */
export const auditRoutes: FastifyPluginAsyncTypebox<AuditRoutesOptions> = async (app, options) => {
  const { listEvents } = options
  await managementApi(app, options)
  app.addHook('onRequest', async (request) => onlyAdministrators(request))

  app.get('/audit', { schema: LIST_EVENTS }, async ({ query, headers }, reply) => {
    const filter = filterOf(query)
    const after = positionOf(query)
    if (prefersLines(headers.accept)) {
      const batches = await listEvents.stream(filter, after, query.limit ?? Number.POSITIVE_INFINITY)
      // Streams at the client's pace, and ends when the client disconnects.
      const lines: unknown = Readable.from(toLines(batches), { objectMode: false })
      return reply.type(NDJSON).send(lines as string)
    }
    const { events, next } = await listEvents.page(filter, after, query.limit ?? DEFAULT_PAGE)
    return { items: events.map(eventBody), next: next === undefined ? null : formatPosition(next) }
  })
}

/** Whether Accept names a stream of lines with at least the weight of a page. Source: RFC 9110 §12.4.2, §12.5.1. */
function prefersLines(accept = ''): boolean {
  const weights = new Map(accept.split(',').map(parseAccepted))
  const lines = weights.get(NDJSON) ?? 0
  return lines > 0 && lines >= (weights.get('application/json') ?? 0)
}

/** The media type of one element of Accept, and its weight. */
function parseAccepted(element: string): readonly [type: string, weight: number] {
  const [type = '', ...parameters] = element.split(';').map((part) => part.trim().toLowerCase())
  const weight = parameters.find((parameter) => parameter.startsWith('q='))
  return [type, weight === undefined ? 1 : Number(weight.slice(2))]
}

function filterOf(query: Static<typeof EventsQuery>): EventFilter {
  const { principal, account, action, repository, tag, digest, outcome } = query
  for (const name of ['tag', 'digest'] as const) {
    if (query[name] !== undefined && repository === undefined)
      throw badField({ field: name, detail: 'requires repository' })
  }
  return {
    principal: principal?.toLowerCase(),
    account: account?.toLowerCase(),
    action,
    repository,
    tag,
    digest,
    outcome,
    since: timeOf('since', query.since),
    until: timeOf('until', query.until),
  }
}

function timeOf(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const time = Date.parse(text)
  if (time >= 0) return new Date(time)
  throw badField({
    field: name,
    detail: `must be a time from 1970 on, such as 2027-06-30T00:00:00Z; ${text} is not`,
  })
}

function positionOf({ after }: Static<typeof EventsQuery>): EventPosition | undefined {
  if (after === undefined) return undefined
  const position = parsePosition(after)
  if (position === undefined)
    throw badField({ field: 'after', detail: 'must be the value of next in a previous page' })
  return position
}

async function* toLines(batches: AsyncIterable<readonly StoredEvent[]>): AsyncGenerator<string> {
  for await (const batch of batches) {
    yield batch.map((event) => `${JSON.stringify(eventBody(event))}\n`).join('')
  }
}
