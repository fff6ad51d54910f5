/** The registry has something that cannot be written down as it is: a manifest of schema 1, say, or a malformed one. */
export class UnrecordableError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnrecordableError'
  }
}
