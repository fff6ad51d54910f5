/** The number of pulls of a manifest by a tag or by its digest, and the time of the last pull. */
export interface PullCount {
  readonly repository: string
  /** sha256 or sha512. */
  readonly digest: string
  /** The tag that the clients named; undefined if they named the digest. */
  readonly tag?: string | undefined
  readonly count: number
  readonly lastAt: Date
}
