import type { FastifyInstance } from 'fastify'
import { ProblemError } from './problem.ts'

/** A string with the colon after it, which makes it a key; or a bracket. Only for text that is JSON. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]/g

/**
 * The first field that an object in a JSON text has twice; undefined where there is none. Parsers differ in which of both
 * counts, so the part that checks might see another value than the part that acts. Source: RFC 8259 §4.
 */
export function findDuplicateField(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  for (const [token, colon] of json.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (colon !== undefined) {
      // Escapes write one name in several ways.
      const field = JSON.parse(token.slice(0, -colon.length)) as string
      const fields = open.at(-1)
      if (fields?.has(field)) return field
      fields?.add(field)
    }
  }
  return undefined
}

/** Throws 400 that names the field where an object of a JSON text has one twice. */
export function refuseDuplicateFields(json: string): void {
  const field = findDuplicateField(json)
  if (field === undefined) return
  throw new ProblemError({
    status: 400,
    detail: `${JSON.stringify(field)} is given twice in one object`,
    field,
  })
}

/**
 * Parses JSON bodies of everything that is registered on `app`: no field twice in one object, no `__proto__`. With
 * `allowEmpty`, a body of no bytes counts as none at all.
 */
export function parseJsonBodies(app: FastifyInstance, { allowEmpty = false } = {}): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body as string
    if (allowEmpty && text === '') return done(null, undefined)
    return parseJson(request, text, (error, value) => {
      if (error !== null) return done(error)
      try {
        refuseDuplicateFields(text)
        return done(null, value)
      } catch (fault) {
        return done(fault as Error)
      }
    })
  })
}
