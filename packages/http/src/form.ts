import type { FastifyInstance } from 'fastify'

/** Parses form bodies to URLSearchParams, which keeps repeated names. Source: WHATWG URL, §5. */
export function parseForms(app: FastifyInstance): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, new URLSearchParams(body as string)),
  )
}

/** The query of a request's URL. Unlike Fastify's parser, URLSearchParams keeps the order of repeated names. */
export function queryOf(url: string): URLSearchParams {
  const mark = url.indexOf('?')
  return new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1))
}
