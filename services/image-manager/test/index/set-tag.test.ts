import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createIndexRepositories } from '../../src/index/index.ts'
import { parseManifest } from '../../src/index/manifest.ts'
import { createPushRepositories } from '../../src/push/index.ts'
import { MANIFEST, REPOSITORY, image } from '../fixtures/index-and-registry.ts'

const manifestOf = (text: string) => {
  const parsed = parseManifest(image(text), MANIFEST)
  if ('malformed' in parsed) throw new Error(parsed.malformed)
  return parsed.manifest
}
const [one, two, three] = [manifestOf('one'), manifestOf('two'), manifestOf('three')]
const pending = manifestOf('pending')

void onBothDatabases(t, async (t, db) => {
  const index = createIndexRepositories(db)
  const revisionOf = async (tag: string) => (await index.tags.findTag(REPOSITORY, tag)).revision
  await index.manifests.putManifest(REPOSITORY, one)
  await index.manifests.putManifest(REPOSITORY, two)

  await t.test('a tag is set only from the revision that it has', async (t) => {
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', one.digest, undefined), true)
    const first = await revisionOf('latest')
    t.equal(
      await index.tags.setTag(REPOSITORY, 'latest', two.digest, undefined),
      false,
      'without a revision no tag is overwritten',
    )
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', two.digest, first), true)
    t.equal(
      await index.tags.setTag(REPOSITORY, 'latest', one.digest, first),
      false,
      'an earlier revision does not overwrite a tag',
    )
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', undefined, first), false)
  })

  await t.test('a tag is not set to a manifest that the index does not have', async (t) => {
    t.equal(await index.tags.setTag(REPOSITORY, 'new', three.digest, undefined), false)
    t.equal(await revisionOf('new'), undefined)
    const revision = await revisionOf('latest')
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', three.digest, revision), false)
    t.equal(await revisionOf('latest'), revision, 'the tag is unchanged')
    await index.manifests.putManifest(REPOSITORY, three)
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', three.digest, revision), true)
  })

  await t.test('a tag is not set to a pending manifest', async (t) => {
    const { pendingPushes } = createPushRepositories(db)
    await pendingPushes.insertPendingPush({ repository: REPOSITORY, tag: null, manifest: pending })
    t.equal(await index.tags.setTag(REPOSITORY, 'new', pending.digest, undefined), false)
    const revision = await revisionOf('latest')
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', pending.digest, revision), false)
    t.equal(await revisionOf('latest'), revision)
    t.equal(await index.manifests.recordPending(REPOSITORY, pending.digest), true)
    t.equal(await index.tags.setTag(REPOSITORY, 'new', pending.digest, undefined), true)
  })

  await t.test('setTag throws errors other than a missing manifest', async (t) => {
    await t.rejects(index.tags.setTag(REPOSITORY, 'nul\0', one.digest, undefined))
  })
})
