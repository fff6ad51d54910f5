import type { FastifyInstance } from 'fastify'
import { ProblemError } from './problem.ts'

/** Matches a string (with the colon after it, if it is a key) or a bracket in valid JSON. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]/g

/**
 * Finds the first field that appears twice in one object of a JSON text. Parsers differ in which of the two values they
 * use: the code that checks a value could see another one than the code that uses it. Source: RFC 8259 §4.
 */
export function findDuplicateField(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  for (const [token, colon] of json.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (colon !== undefined) {
      // The same name can be written with different escapes.
      const field = JSON.parse(token.slice(0, -colon.length)) as string
      const fields = open.at(-1)
      if (fields?.has(field)) return field
      fields?.add(field)
    }
  }
  return undefined
}

/** Throws a 400 problem that names the field which appears twice in one object of a JSON text. */
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
 * Parses the JSON bodies of everything that is registered on `app`. Refuses duplicate fields and `__proto__`. With
 * `allowEmpty`, an empty body counts as absent.
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
