/**
 * The error codes of the registry API with their default status and message.
 * Source: OCI distribution-spec 1.1, "Error Codes"; distribution's errcode package for UNAVAILABLE and UNKNOWN.
 */
export const ERROR_CODES = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 400, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  DIGEST_INVALID: { status: 400, message: 'provided digest is not a valid sha256 or sha512 digest' },
  MANIFEST_BLOB_UNKNOWN: {
    status: 404,
    message: 'manifest references a manifest or blob unknown to registry',
  },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown to registry' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  PAGINATION_NUMBER_INVALID: { status: 400, message: 'invalid number of results requested' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  TAG_INVALID: { status: 400, message: 'invalid tag' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  UNAVAILABLE: { status: 503, message: 'service unavailable' },
  UNKNOWN: { status: 500, message: 'unknown error' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/** An error of the registry API. */
export interface RegistryError {
  readonly code: ErrorCode
  /** HTTP status; the code's default when left out. */
  readonly status?: number
  /** A sentence for users; the code's default when left out. */
  readonly message?: string
  readonly detail?: unknown
}

export interface RegistryErrorBody {
  readonly errors: readonly { code: ErrorCode; message: string; detail: unknown }[]
}

/** HTTP status and body of an error response. Source: OCI distribution-spec 1.1, "Error Codes". */
export function formatRegistryError(error: RegistryError): { status: number; body: RegistryErrorBody } {
  const { status, message } = ERROR_CODES[error.code]
  return {
    status: error.status ?? status,
    body: {
      errors: [{ code: error.code, message: error.message ?? message, detail: error.detail ?? null }],
    },
  }
}

const MAX_SHOWN_PATH = 300

/** The message for a request whose path is no endpoint. Long paths are cut. */
export function describeNoEndpoint(method: string, target: string): string {
  const [path = ''] = target.split('?', 1)
  return `no such endpoint: ${method} ${path.length > MAX_SHOWN_PATH ? `${path.slice(0, MAX_SHOWN_PATH)}…` : path}`
}
