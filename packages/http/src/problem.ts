/** A fault to be told to the client. Source: RFC 9457. */
export interface Problem {
  /** HTTP status, 400 to 599. */
  readonly status: number
  /** Sentence that names what was wrong and what would be right; never holds a secret. */
  readonly detail: string
  /** The request's field that was wrong. */
  readonly field?: string
  /** Extra response headers, such as `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Thrown by routes to end a request with a problem. */
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

/** A part that is needed is away for now: 503, and when to come back. */
export function unavailable(detail: string, retryAfterSeconds = 5, cause?: unknown): ProblemError {
  const headers = { 'retry-after': String(retryAfterSeconds) }
  return new ProblemError({ status: 503, detail, headers }, { cause })
}
