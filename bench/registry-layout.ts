import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const TAGS = ['1.0', '1.1']

/**
 * Writes repositories with a layer and tags in distribution's file system layout, as its catalog walks them. The blobs
 * are missing. Source: distribution, registry/storage/paths.go.
 */
export async function writeRepositories(images: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const folder = join(images, 'docker/registry/v2/repositories', name)
    await mkdir(join(folder, '_uploads'), { recursive: true })
    await link(folder, '_layers', hashOf(`${name} layer`))
    for (const tag of TAGS) {
      const manifest = hashOf(`${name} ${tag}`)
      await link(folder, '_manifests/revisions', manifest)
      await link(folder, `_manifests/tags/${tag}/index`, manifest)
      await writeLink(join(folder, '_manifests/tags', tag, 'current'), manifest)
    }
  }
}

const link = (folder: string, kind: string, hash: string) =>
  writeLink(join(folder, kind, 'sha256', hash), hash)

async function writeLink(folder: string, hash: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'link'), `sha256:${hash}`)
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
