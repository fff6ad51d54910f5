import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { PARTS } from '../harness/space-model/killer.ts'
import { createRandom } from '@registry-manager/testing/random'
import type { Model, ModelClient, Step } from '../harness/space-model/start-model.ts'
import { checkEnd, startModel } from '../harness/space-model/start-model.ts'

/*
 * A part of the stack is killed in the middle of each stage, and again after its restart. It takes minutes, so it runs
 * only with `SPACE_PARTS`: 1 kills one random part in each stage, and 11 kills every part in every stage. `SPACE_SEED`
 * repeats the choices of an earlier run.
 */

const { SPACE_PARTS, SPACE_SEED = Date.now() % 1_000_000 } = process.env
const [COUNT, SEED] = [Number(SPACE_PARTS ?? 0), Number(SPACE_SEED)]
const skip = COUNT === 0 && 'it takes minutes: set SPACE_PARTS=1 to run it'
/** The longest time from the beginning of a stage to a kill. A round of steps takes about as long. */
const DELAY_MS = 700

/**
 * The steps that a client repeats during a stage. Data is collected all the time: after a purge it is reviewed,
 * condemned, claimed and removed within about three seconds.
 */
const STAGES: Readonly<Record<string, (client: ModelClient) => readonly Step[]>> = {
  'a push': ({ actor }) => [actor.push],
  'the deletion of a manifest': ({ actor, deletions }) => [actor.push, deletions.deleteImage],
  'the deletion of a repository': ({ actor, deletions }) => [
    actor.push,
    actor.push,
    deletions.deleteRepository,
  ],
  'a restore': ({ actor, deletions, restores }) => [actor.push, deletions.deleteImage, restores.restore],
  'the restore of a tag': ({ actor, restores }) => [actor.push, restores.restoreTag],
  'the emptying of the trash, and the collection': ({ actor, deletions, restores }) => [
    actor.push,
    deletions.deleteImage,
    restores.purge,
    restores.purge,
  ],
  'a run of retention': ({ retention }) => [retention.push, retention.compareDryRun],
}

async function killDuring(
  { killer, clients }: Model,
  steps: (client: ModelClient) => readonly Step[],
  kill: Step,
) {
  const over = new AbortController()
  const repeat = async (client: ModelClient) => {
    while (!over.signal.aborted)
      for (const step of steps(client)) {
        await step()
        killer.countStep()
      }
  }
  const killing = kill().finally(() => over.abort())
  await Promise.all([...clients.map(repeat), killing]).finally(() => over.abort())
}

t.test('no content is lost when each process is killed twice during each stage', { skip }, async (t) => {
  t.comment(`SPACE_PARTS=${COUNT} SPACE_SEED=${SEED}`)
  const model = await startModel(t, SEED)
  const random = createRandom(SEED - 1)
  for (const [stage, steps] of Object.entries(STAGES)) {
    const parts = PARTS.map((part) => [random.below(1_000_000), part] as const).toSorted(
      ([one], [other]) => one - other,
    )
    for (const [, part] of parts.slice(0, COUNT)) {
      await killDuring(model, steps, async () => {
        for (let kills = 0; kills < 2; kills += 1) {
          await sleep(random.below(DELAY_MS))
          await model.killer.kill(part)
        }
      })
      t.pass(`${part} was killed during ${stage}`)
    }
  }
  await checkEnd(t, model)
})
