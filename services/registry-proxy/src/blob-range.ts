/** A range that no blob has: Go's parser takes no larger offset. */
const UNSATISFIABLE = '9223372036854775807-'

/** A set of more ranges than this is ignored: many small ones cost far more than the whole. RFC 9110 §17.15 */
const MAX_RANGES = 16

/**
 * The Range header for the registry, undefined where the client's is to be ignored: for any method but GET
 * (RFC 9110 §14.2), and for units other than `bytes`, whose name is case-insensitive (§14.1). A range that is
 * malformed is passed on, and distribution answers 416.
 *
 * `-0`, the last 0 bytes, is unsatisfiable (§14.1.2). Go's http.ServeContent answers it with an impossible
 * Content-Range, so it is replaced by a range that the blob does not have either.
 */
export function blobRange(method: string, range: string | undefined): string | undefined {
  if (method !== 'GET' || range === undefined) return undefined
  const [, unit = '', set = ''] = /^([^=]*)=(.*)$/.exec(range) ?? []
  if (unit.trim().toLowerCase() !== 'bytes') return undefined
  const ranges = set.split(',').map((spec) => spec.trim())
  if (ranges.length > MAX_RANGES) return undefined
  return `bytes=${ranges.map((spec) => (/^-0+$/.test(spec) ? UNSATISFIABLE : spec)).join(',')}`
}
