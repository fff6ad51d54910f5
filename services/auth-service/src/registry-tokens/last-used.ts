export interface TokenUse {
  readonly id: string
  readonly at: Date
  readonly address: string
}

export interface TokenUseLog {
  /** Notes that a token signed in just now. */
  note(id: string, address: string): void
  start(): void
  /** Writes down what was noted, and stops. */
  stop(): Promise<void>
}

const WRITE_MS = 5000

/**
 * When registry tokens were last used, and from where: kept in memory, and written down every few seconds for all
 * of them at once. What could not be written is written next time.
 */
export function createTokenUseLog(
  write: (uses: readonly TokenUse[]) => Promise<void>,
  now: () => number,
  onError: (error: unknown) => void,
): TokenUseLog {
  let uses = new Map<string, { at: number; address: string }>()
  let timer: NodeJS.Timeout | undefined

  const writeAll = async () => {
    if (uses.size === 0) return
    const writing = uses
    uses = new Map()
    try {
      await write([...writing].map(([id, { at, address }]) => ({ id, at: new Date(at), address })))
    } catch (error) {
      uses = new Map([...writing, ...uses])
      onError(error)
    }
  }
  const run = async () => {
    await writeAll()
    if (timer !== undefined) timer = setTimeout(run, WRITE_MS)
  }

  return {
    note: (id, address) => void uses.set(id, { at: now(), address }),
    start: () => {
      timer = setTimeout(run, WRITE_MS)
    },
    stop: async () => {
      clearTimeout(timer)
      timer = undefined
      await writeAll()
    },
  }
}
