/** An error response. Source: RFC 9457. */
export interface Problem {
  /** HTTP status, 400 to 599. */
  readonly status: number
  /** A sentence about the fault and about valid values; never contains a secret. */
  readonly detail: string
  /** The invalid field of the request. */
  readonly field?: string
  /** How the client can get the missing right. Only the registry API's format shows it. */
  readonly help?: string
  /** Additional response headers, such as `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** An invalid field of a request, and its valid values. */
export interface FieldFault {
  readonly field: string
  readonly detail: string
}

/** Thrown to end a request with a problem. */
export class ProblemError extends Error {
  readonly problem: Problem
  readonly statusCode: number

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail, options)
    this.name = 'ProblemError'
    this.problem = problem
    this.statusCode = problem.status
  }
}

/** Creates the 400 problem of an invalid field. The detail follows the field's name. */
export function badField({ field, detail }: FieldFault): ProblemError {
  return new ProblemError({ status: 400, detail: `${field} ${detail}`, field })
}

/** Creates a 503 problem with `Retry-After`, for a dependency that is unavailable. */
export function unavailable(detail: string, retryAfterSeconds = 5, cause?: unknown): ProblemError {
  const headers = { 'retry-after': String(retryAfterSeconds) }
  return new ProblemError({ status: 503, detail, headers }, { cause })
}
