import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createIndexRepositories } from '../../src/index/index.ts'
import { parseManifest } from '../../src/index/manifest.ts'
import { MANIFEST, REPOSITORY, image } from '../fixtures/index-and-registry.ts'

const manifestOf = (text: string) => {
  const parsed = parseManifest(image(text), MANIFEST)
  if ('malformed' in parsed) throw new Error(parsed.malformed)
  return parsed.manifest
}
const [one, two, three] = [manifestOf('one'), manifestOf('two'), manifestOf('three')]

void onBothDatabases(t, async (t, db) => {
  const index = createIndexRepositories(db)
  const revisionOf = async (tag: string) => {
    const row = await db.selectFrom('tags').select('revision').where('name', '=', tag).executeTakeFirst()
    return row?.revision ?? 0
  }
  await index.manifests.putManifest(REPOSITORY, one)
  await index.manifests.putManifest(REPOSITORY, two)

  await t.test('a tag is set by whoever saw it as it is', async (t) => {
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', one.digest, 0), true)
    const first = await revisionOf('latest')
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', two.digest, 0), false, 'not by who saw none')
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', two.digest, first), true)
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', one.digest, first), false, 'nor by who saw another')
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', undefined, first), false)
  })

  await t.test('not to a manifest that went away meanwhile: look again', async (t) => {
    t.equal(await index.tags.setTag(REPOSITORY, 'new', three.digest, 0), false)
    t.equal(await revisionOf('new'), 0)
    const revision = await revisionOf('latest')
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', three.digest, revision), false)
    t.equal(await revisionOf('latest'), revision, 'the tag is as it was')
    await index.manifests.putManifest(REPOSITORY, three)
    t.equal(await index.tags.setTag(REPOSITORY, 'latest', three.digest, revision), true)
  })

  await t.test('every other fault is one', async (t) => {
    await t.rejects(index.tags.setTag(REPOSITORY, 'nul\0', one.digest, 0))
  })
})
