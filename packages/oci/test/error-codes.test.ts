import t from 'tap'
import type { ErrorCode } from '../src/error-codes.ts'
import { ERROR_CODES, formatRegistryError } from '../src/error-codes.ts'

/** OCI distribution-spec 1.1, "Error Codes", and the statuses that clients know them by. */
const STATUSES: Readonly<Record<ErrorCode, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  SIZE_INVALID: 400,
  TAG_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405,
}

t.test('every error code has the status of the specification and a message', async (t) => {
  t.same(Object.keys(ERROR_CODES).toSorted(), Object.keys(STATUSES).toSorted())
  for (const [code, expected] of Object.entries(STATUSES) as [ErrorCode, number][]) {
    const { status, body } = formatRegistryError({ code })
    t.equal(status, expected, code)
    t.match(body, { errors: [{ code, message: /^\S.+\S$/, detail: null }] })
    t.equal(body.errors.length, 1)
  }
})

t.test('an error of the registry API can have its own status, message and detail', async (t) => {
  const detail = { name: 'A' }
  t.same(formatRegistryError({ code: 'UNSUPPORTED', status: 404, message: 'no such thing', detail }), {
    status: 404,
    body: { errors: [{ code: 'UNSUPPORTED', message: 'no such thing', detail }] },
  })
  t.equal(formatRegistryError({ code: 'UNKNOWN', detail: 0 }).body.errors[0]?.detail, 0, 'zero is a detail')
})
