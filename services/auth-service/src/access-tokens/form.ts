import type { FastifyInstance } from 'fastify'

/** Parses form bodies to URLSearchParams, which keeps repeated names. Source: WHATWG URL, §5. */
export function parseForms(app: FastifyInstance): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, new URLSearchParams(body as string)),
  )
}

/** The request's query, of which Fastify's own parser would lose nothing, but keep no order. */
export function queryOf(url: string): URLSearchParams {
  const mark = url.indexOf('?')
  return new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1))
}
