import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ofKind } from '../kustomize/manifest.ts'
import { render, writeKustomization } from '../kustomize/render.ts'
import { kustomizeIsMissing } from './fixtures/render.ts'

const MIGRATE = fileURLToPath(new URL('../base/migrate.yaml', import.meta.url))
const BASE = '{resources: [migrate.yaml], images: [{name: registry-manager, newTag: 0.1.0}]}'

/** Images that a user may name in an overlay. */
const OTHER_IMAGES = ['newTag: 0.2.0', 'newName: a.example.com:5000/b', `digest: "sha256:${'a'.repeat(64)}"`]

t.test(
  'the migration Job has a new name for a new image only, so that it can be applied again and upgraded',
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const folder = t.testdir()
    await writeKustomization(join(folder, 'base'), BASE)
    await copyFile(MIGRATE, join(folder, 'base/migrate.yaml'))
    const nameIn = async (images: string) => {
      await writeKustomization(join(folder, 'overlay'), `{resources: [../base], images: [${images}]}`)
      const [job] = ofKind(await render(join(folder, 'overlay')), 'Job')
      return job?.metadata.name ?? ''
    }
    const first = await nameIn('')
    t.match(first, /^migrate-[a-z0-9]{10}$/)
    t.equal(await nameIn(''), first, 'the same content has the same name')
    for (const image of OTHER_IMAGES) {
      const name = await nameIn(`{name: registry-manager, ${image}}`)
      t.match(name, /^migrate-[a-z0-9]{10}$/, image)
      t.not(name, first, image)
    }
  },
)
