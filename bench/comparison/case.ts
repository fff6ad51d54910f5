import type { Side } from './side.ts'

/** The result of one run of a case. */
export interface Outcome {
  /** Requests or bytes each second. */
  readonly rate: number
  readonly failed: number
  /** The first failure. */
  readonly fault?: string | undefined
}

/** Work that all sides do in turn. */
export interface Case {
  readonly name: string
  /** The least ratio to the bare registry, for each setting of CONTENT_FROM. */
  readonly goals: { readonly volume: number; readonly cache: number }
  readonly unit: 'requests' | 'bytes'
  readonly rounds: number
  /** Whether a side can do the work. Other sides are left out. */
  isFor(side: Side): boolean
  /** Runs once on each side before the first round, unmeasured. */
  warmUp?(side: Side): Promise<void>
  /** Runs before each round, unmeasured. Returns what cleans up after the round. */
  prepare?(sides: readonly Side[]): Promise<() => Promise<void>>
  run(side: Side): Promise<Outcome>
}

/** The runs of one side. */
export interface SideResult {
  readonly side: Side
  readonly rates: readonly number[]
  /** Ratios to the bare registry of the same rounds. */
  readonly ratios: readonly number[]
  readonly failed: number
  readonly fault: string | undefined
}

export interface CaseResult {
  readonly case: Case
  readonly results: readonly SideResult[]
}

/**
 * Runs a case: in each round all sides one after another, so that other load on the machine affects all of them. The
 * first side is the bare registry.
 */
export async function runCase(work: Case, all: readonly Side[]): Promise<CaseResult> {
  const sides = all.filter((side) => work.isFor(side))
  for (const side of sides) await work.warmUp?.(side)
  const rounds: Outcome[][] = []
  for (let round = 0; round < work.rounds; round += 1) {
    const cleanUp = await work.prepare?.(sides)
    const outcomes: Outcome[] = []
    for (const side of sides) outcomes.push(await runOnce(work, side))
    rounds.push(outcomes)
    await cleanUp?.()
  }
  const results = sides.map((side, at) => {
    const outcomes = rounds.map((round) => round[at] as Outcome)
    return {
      side,
      rates: outcomes.map(({ rate }) => rate),
      ratios: rounds.map((round) => (round[at]?.rate ?? 0) / (round[0]?.rate ?? 0)),
      failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
      fault: outcomes.find(({ fault }) => fault !== undefined)?.fault,
    }
  })
  return { case: work, results }
}

async function runOnce(work: Case, side: Side): Promise<Outcome> {
  try {
    return await work.run(side)
  } catch (error) {
    return { rate: 0, failed: 1, fault: (error as Error).message }
  }
}
