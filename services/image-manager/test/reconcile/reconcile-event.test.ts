import t from 'tap'
import { createDatabaseReconciler } from '../../src/reconcile/index.ts'
import { BY_IMAGE_MANAGER, eventsIn } from '../fixtures/events.ts'
import { MANIFEST, REPOSITORY, databaseForTest, image } from '../fixtures/index-and-registry.ts'
import { parsed, startReconcile } from '../fixtures/reconcile.ts'

const db = await databaseForTest(t)
const [ONE, TWO] = [image('one'), image('two')]

t.test(
  'a run that changes the index has one event with the counts; one that changes nothing has none',
  async (t) => {
    const { registry, index, run } = await startReconcile(db)
    registry.push(ONE, MANIFEST, 'past-us')
    await index.manifests.putManifest(REPOSITORY, parsed(TWO))
    const { id } = (await run()) ?? { id: '' }
    await run()
    const events = await eventsIn(db)
    t.match(events, [
      {
        ...BY_IMAGE_MANAGER,
        action: 'reconcile',
        outcome: 'done',
        repository: null,
        target: { kind: 'index', name: 'index' },
        detail: {
          run: id,
          manifestsAdopted: 1,
          manifestsRemoved: 1,
          tagsChanged: 1,
          tagsRemoved: 0,
          immutableTagsChanged: 0,
        },
      },
    ])
    t.equal(events.length, 1)
  },
)

t.test('the event of a run at the command line names the command', async (t) => {
  const { registry } = await startReconcile(db)
  registry.push(ONE, MANIFEST, 'past-us')
  const principal = { kind: 'command', id: null, name: 'reconcile' } as const
  const listener = { taken: () => {}, progress: () => {}, failed: () => {} }
  const reconciler = createDatabaseReconciler({
    db,
    createRegistry: () => registry,
    concurrency: 1,
    listener,
    principal,
  })
  await reconciler.run({ signal: new AbortController().signal })
  t.match(await eventsIn(db), [
    { action: 'reconcile', principal_kind: 'command', principal_name: 'reconcile' },
  ])
})
