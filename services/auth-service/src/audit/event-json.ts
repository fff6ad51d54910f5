import { EVENT_ACTIONS, EVENT_OUTCOMES } from '@registry-manager/events'
import { BASIC_BEARER_OR_SESSION, PRINCIPAL_KINDS, problemResponses } from '@registry-manager/http'
import type { FastifySchema } from 'fastify'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { EventPosition, StoredEvent } from './list-events.ts'

/** An event in responses. */
export const EventBody = Type.Object({
  id: Type.String(),
  time: Type.String({ format: 'date-time' }),
  action: Type.String({ description: 'The action, such as `tag.delete`.' }),
  principal: Type.Object(
    {
      kind: Type.Enum([...PRINCIPAL_KINDS]),
      id: Type.Union([Type.String(), Type.Null()], {
        description: 'The id of the account, or of the trust rule of a workload.',
      }),
      name: Type.Union([Type.String(), Type.Null()], {
        description:
          'The name of the account in lower case, of the service or of the command. For a workload: the trust rule and ' +
          'the subject of its token.',
      }),
      via: Type.Optional(
        Type.Object(
          { id: Type.String(), name: Type.String() },
          { description: 'The personal token that acted for the account.' },
        ),
      ),
    },
    { description: 'The principal of the action.' },
  ),
  address: Type.Union([Type.String(), Type.Null()], {
    description:
      "The client's IP address. For refusals of an IPv6 address: its network, such as `2001:db8:1:2::/64`.",
  }),
  requestId: Type.Union([Type.String(), Type.Null()], {
    description: 'The id of the request, as in the logs.',
  }),
  target: Type.Object(
    { kind: Type.String(), name: Type.String() },
    { additionalProperties: true, description: 'The target of the action.' },
  ),
  outcome: Type.Enum([...EVENT_OUTCOMES]),
  detail: Type.Object(
    {},
    { additionalProperties: true, description: 'Further facts; the fields depend on the action.' },
  ),
})

export const EventsBody = Type.Object({
  items: Type.Array(EventBody),
  next: Type.Union([Type.String(), Type.Null()], {
    description: 'The value of `after` for the next page; null on the last page.',
  }),
})

/** The query of `GET /audit`. */
export const EventsQuery = Type.Object(
  {
    principal: Type.Optional(
      text('The principal: the name or the id of an account, or the name of a service.', 'jane'),
    ),
    action: Type.Optional(Type.Enum([...EVENT_ACTIONS])),
    repository: Type.Optional(text('The repository of the target.', 'team/app')),
    tag: Type.Optional(
      text(
        'Only events about this tag, deletions of its whole repository included. Requires `repository`.',
        '1.0',
      ),
    ),
    digest: Type.Optional(text('A digest in the target or in the detail. Requires `repository`.')),
    account: Type.Optional(text('The user or registry token that the event is about: the name or the id.')),
    outcome: Type.Optional(Type.Enum([...EVENT_OUTCOMES])),
    since: Type.Optional(time('The earliest time.')),
    until: Type.Optional(time('The end: events before this time.')),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 200,
        description: 'The largest number of events; 50 by default. A stream has no limit by default.',
      }),
    ),
    after: Type.Optional(text('`next` of the previous page.')),
  },
  { additionalProperties: false },
)

export const NDJSON = 'application/x-ndjson'

/** The schema of `GET /audit`. */
export const LIST_EVENTS = {
  tags: ['audit log'],
  operationId: 'listEvents',
  summary: 'List events, newest first',
  description: 'For cluster administrators. An event matches all parameters that are given.',
  security: BASIC_BEARER_OR_SESSION,
  querystring: EventsQuery,
  response: {
    200: {
      description: 'Events, newest first. `Accept: application/x-ndjson` requests a stream of all of them.',
      content: {
        'application/json': { schema: EventsBody },
        [NDJSON]: { schema: Type.String({ description: 'One event in each line, as in `items`.' }) },
      },
    },
    ...problemResponses(400, 401, 403, 429, 503),
  },
} as const satisfies FastifySchema

export function eventBody(event: StoredEvent): Static<typeof EventBody> {
  const { position, time, action, principal, address, requestId, target, outcome, detail } = event
  return {
    id: position.id,
    time: time.toISOString(),
    action,
    principal: { ...principal },
    address,
    requestId,
    target,
    outcome,
    detail,
  }
}

export function formatPosition({ micros, id }: EventPosition): string {
  return `${micros}-${id}`
}

/** Undefined for a string that `formatPosition` did not make. */
export function parsePosition(text: string): EventPosition | undefined {
  const [, micros, id] = /^(\d{1,16})-(\d{1,18})$/.exec(text) ?? []
  return micros === undefined || id === undefined ? undefined : { micros, id }
}

function text(description: string, ...examples: string[]) {
  return Type.String({ minLength: 1, maxLength: 512, description, ...(examples.length > 0 && { examples }) })
}

function time(description: string) {
  return Type.String({ format: 'date-time', maxLength: 64, description })
}
