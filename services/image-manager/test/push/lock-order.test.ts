import { connectPostgres } from '@registry-manager/database'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import t from 'tap'
import { createPush } from '../../src/push/index.ts'
import { recordInSteps } from '../../src/push/record-pending-push.ts'
import { MANIFEST, REPOSITORY, image, startIndex } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { parsed } from '../fixtures/reconcile.ts'

const [WORKERS, ROUNDS] = [8, 60]

t.test('pushes, their ends and deletions of one repository do not deadlock in Postgres', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const { ports, registry, announce } = await startIndex(db)
  const push = createPush({ ...ports })
  const { pendingPushes, manifests } = ports
  const images = Array.from({ length: 3 }, (_, at) => image(`image ${at}`))
  const failures: unknown[] = []

  const runs = Array.from({ length: WORKERS }, async (_, worker) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const raw = images[(worker + round) % images.length]!
      const tag = `v${round % 2}`
      const pending = await announce(raw, tag, MANIFEST, REPOSITORY)
      registry.push(raw, MANIFEST, tag)
      const revision = await manifests.findRevision(REPOSITORY, digestOf(raw))
      const ways = [
        () => push.record(pending.id),
        () => recordInSteps(ports, pending),
        () => pendingPushes.contestPushes(REPOSITORY),
        () => revision && manifests.removeManifest(REPOSITORY, digestOf(raw), revision),
        () => pendingPushes.removePendingPush(pending.id),
        () => manifests.putManifest(REPOSITORY, parsed(raw)),
        () => announce(raw, null, MANIFEST, REPOSITORY),
      ]
      const settled = await Promise.allSettled(
        [0, 1, 2].map((other) => ways[(worker + round + other) % ways.length]!()),
      )
      for (const one of settled) if (one.status === 'rejected') failures.push(one.reason)
    }
  })
  await Promise.all(runs)
  t.strictSame(failures.map(String), [], `none of ${WORKERS * ROUNDS} rounds fails`)
})
