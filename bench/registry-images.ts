import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = Buffer.from('{}')
const LAYER = Buffer.from('a layer that all of them share')

/**
 * Writes repositories of one small image each, tagged `latest`, into a registry's storage, in distribution's file
 * system layout. Source: distribution, registry/storage/paths.go.
 */
export function writeImages(folder: string, names: readonly string[]): void {
  const root = join(folder, 'docker/registry/v2')
  const [config, layer] = [writeBlob(root, CONFIG), writeBlob(root, LAYER)]
  for (const name of names) {
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: `sha256:${config}`,
        size: CONFIG.length,
      },
      layers: [
        {
          mediaType: 'application/vnd.oci.image.layer.v1.tar',
          digest: `sha256:${layer}`,
          size: LAYER.length,
        },
      ],
      annotations: { 'org.opencontainers.image.title': name },
    }
    const hash = writeBlob(root, Buffer.from(JSON.stringify(manifest)))
    const repository = join(root, 'repositories', name)
    const tag = join(repository, '_manifests/tags/latest')
    for (const blob of [config, layer]) writeLink(join(repository, '_layers/sha256', blob), blob)
    writeLink(join(repository, '_manifests/revisions/sha256', hash), hash)
    writeLink(join(tag, 'index/sha256', hash), hash)
    writeLink(join(tag, 'current'), hash)
  }
}

/** Writes a blob. Returns its SHA-256. */
function writeBlob(root: string, bytes: Buffer): string {
  const hash = createHash('sha256').update(bytes).digest('hex')
  const folder = join(root, 'blobs/sha256', hash.slice(0, 2), hash)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'data'), bytes)
  return hash
}

function writeLink(folder: string, hash: string): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'link'), `sha256:${hash}`)
}
