import t from 'tap'
import { createRandom } from '@registry-manager/testing/random'
import type { ModelClient, Step } from '../harness/space-model/start-model.ts'
import { checkEnd, startModel } from '../harness/space-model/start-model.ts'

/*
 * Random pushes, mounts, deletions, restores, purges and retention by several clients, while deleted data is collected
 * and processes are killed. Each client changes repositories of its own and its own manifests of a shared one, so it
 * knows what must be there. `SPACE_STEPS=10000` runs longer, `SPACE_SEED` repeats the choices of an earlier run, and
 * `SPACE_KILL_EVERY` is the number of steps between two kills. After `SPACE_SECONDS` no step begins. The folder
 * `SPACE_DATA_DIR` keeps the logs.
 */

const {
  SPACE_SECONDS = '3600',
  SPACE_STEPS = '60',
  SPACE_SEED = Date.now() % 1_000_000,
  SPACE_KILL_EVERY = '20',
} = process.env
const STEPS = Number(SPACE_STEPS)
const SEED = Number(SPACE_SEED)

t.test(
  'no acknowledged manifest loses data, and in the end the storage has exactly the reachable data',
  async (t) => {
    t.comment(`SPACE_STEPS=${STEPS} SPACE_SEED=${SEED} SPACE_KILL_EVERY=${SPACE_KILL_EVERY}`)
    const model = await startModel(t, SEED)
    const { killer, clients } = model
    let steps = 0
    const over = new AbortController()
    const timeout = AbortSignal.any([over.signal, AbortSignal.timeout(Number(SPACE_SECONDS) * 1000)])
    const counts = new Map<string, number>()
    const run = async (client: ModelClient) => {
      const choices = choicesOf(client)
      for (; steps < STEPS && !timeout.aborted; steps += 1) {
        const [name, step] = client.actor.random.pick(choices) ?? ['push', client.actor.push]
        counts.set(name, (counts.get(name) ?? 0) + 1)
        await step()
        const done = killer.countStep()
        if (done % 500 === 0) t.comment(`${done} steps`)
      }
    }
    const killing = killer.run(createRandom(SEED - 1), Number(SPACE_KILL_EVERY), () => over.signal.aborted)
    killing.catch(() => over.abort())
    await Promise.all(clients.map(run)).finally(() => over.abort())
    t.comment(`killed: ${(await killing).join(' ')}`)
    t.comment([...counts].map(([name, count]) => `${name}: ${count}`).join(', '))
    t.comment(`${steps} of ${STEPS} steps`)
    await checkEnd(t, model)
  },
)

/** The steps of a client, each as often as it is listed. */
function choicesOf(client: ModelClient): readonly (readonly [string, Step])[] {
  const { actor, retention, deletions, restores } = client
  const weights: readonly (readonly [number, string, Step])[] = [
    [8, 'push', actor.push],
    [2, 'pull', actor.pullAny],
    [4, 'delete a manifest', deletions.deleteImage],
    [1, 'delete a tag', deletions.deleteTag],
    [1, 'delete a repository', deletions.deleteRepository],
    [4, 'restore', restores.restore],
    [1, 'purge', restores.purge],
    [2, 'restore a tag', restores.restoreTag],
    [3, 'push where retention runs', retention.push],
    [1, 'delete where retention runs', retention.deleteLast],
    [1, 'restore where retention runs', retention.restore],
    [1, 'pull where retention runs', retention.check],
    [1, 'dry run', retention.compareDryRun],
  ]
  return weights.flatMap(([weight, name, step]) =>
    Array.from({ length: weight }, () => [name, step] as const),
  )
}
