import { setTimeout as sleep } from 'node:timers/promises'
import type { System } from '../system.ts'
import { REPLICAS, pidOf, restartProcess } from '../stack-processes.ts'
import type { Random } from '@registry-manager/testing/random'

/** Every part of the stack. `between` is the nginx that balances internal calls. */
export const PARTS = [...REPLICAS, 'storage-worker', 'registry', 'nginx', 'between', 'postgres'] as const

/** Kills processes of the stack. */
export function createKiller(system: System) {
  let [kills, steps] = [0, 0]

  /** Kills a part with SIGKILL, and waits until the stack has restarted it. */
  const kill = async (part: string) => {
    for (let tries = 0; (await pidOf(system, part)) === undefined; await sleep(50))
      if ((tries += 1) > 1200) throw new Error(`${part} does not run:\n${system.output()}`)
    kills += 1
    await restartProcess(system, part, 'SIGKILL')
  }

  return {
    kill,
    kills: () => kills,
    /** Kills a random part after every `every` steps, until `isOver`. Returns what was killed. */
    async run(random: Random, every: number, isOver: () => boolean): Promise<readonly string[]> {
      const killed: string[] = []
      for (let next = every; !isOver(); await sleep(20)) {
        if (steps < next) continue
        next += every
        const part = random.pick(PARTS) ?? 'registry'
        killed.push(part)
        await sleep(random.below(200))
        await kill(part)
      }
      return killed
    },
    countStep: () => (steps += 1),
  }
}

export type Killer = ReturnType<typeof createKiller>
