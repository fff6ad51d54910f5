/** How often a manifest was pulled by a tag or by its digest, and when it was last pulled. */
export interface PullCount {
  readonly repository: string
  /** sha256 or sha512. */
  readonly digest: string
  /** The tag that the clients named; undefined if they named the digest. */
  readonly tag?: string | undefined
  readonly count: number
  readonly lastAt: Date
}
