import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createImage } from '../../test-e2e/harness/images.ts'
import { runCommand } from '../../test-e2e/harness/run-command.ts'
import { upload } from '../clients.ts'
import type { Case, Outcome } from './case.ts'
import { flushDisk, removeBytes } from './content.ts'
import type { Side } from './side.ts'

const [UPLOAD_BYTES, UPLOAD_ROUNDS] = [500e6, 3]
const [LAYERS, LAYER_BYTES, IMAGE_ROUNDS] = [20, 5 * 1024 ** 2, 5]
const UPLOADS = 'bench/uploads'

/** The cases of pushes: always of content that the registry does not have. `folder` is for files of the clients. */
export function pushCases(folder: string): readonly Case[] {
  const shared = {
    unit: 'bytes',
    isFor: ({ isRegistry }: Side) => isRegistry,
  } as const
  return [
    {
      ...shared,
      name: 'one 500 MB upload',
      goals: { volume: 1, cache: 1 },
      rounds: UPLOAD_ROUNDS,
      run: (side) => pushUpload(side, folder),
    },
    {
      ...shared,
      name: 'image of 20 × 5 MiB layers, pushed by skopeo',
      goals: { volume: 0.95, cache: 0.95 },
      rounds: IMAGE_ROUNDS,
      // The first push of all reads skopeo's program from the disk.
      warmUp: async (side) => {
        const { fault } = await pushImage(side, folder)
        if (fault !== undefined) throw new Error(`${side.name}: ${fault}`)
      },
      run: (side) => pushImage(side, folder),
    },
  ]
}

async function pushUpload(side: Side, folder: string): Promise<Outcome> {
  const [authorization = ''] = await side.authorizations(`repository:${UPLOADS}:pull,push`, 1)
  const job = { origin: side.origin, repository: UPLOADS, bytes: UPLOAD_BYTES, authorization }
  const { seconds, digest } = await upload(job)
  await removeBytes([side], [digest])
  await flushDisk(folder)
  return { rate: UPLOAD_BYTES / seconds, failed: 0 }
}

/** Measures the whole run of skopeo, with its sign-in. */
async function pushImage(side: Side, folder: string): Promise<Outcome> {
  const { SKOPEO_BINARY, SKOPEO_LIBRARIES } = process.env
  if (!SKOPEO_BINARY) throw new Error('skopeo was not found: install it, or set SKOPEO_BINARY to its path')
  const layout = join(folder, 'image')
  const { manifest } = await createImage(layout, {
    seed: randomUUID(),
    layers: LAYERS,
    layerBytes: LAYER_BYTES,
  })
  await flushDisk(folder)
  const { username, password } = side.stack?.administrator ?? { username: 'nobody', password: 'ignored' }
  const target = `docker://${new URL(side.origin).host}/bench/pushed-by-skopeo:${randomUUID()}`
  const flags = ['--dest-tls-verify=false', `--dest-creds=${username}:${password}`]
  const begin = performance.now()
  await runCommand(
    SKOPEO_BINARY,
    ['--insecure-policy', 'copy', ...flags, `oci:${layout}:latest`, target],
    SKOPEO_LIBRARIES ? { env: { LD_LIBRARY_PATH: SKOPEO_LIBRARIES } } : {},
  )
  const seconds = (performance.now() - begin) / 1000
  await rm(layout, { recursive: true })
  await removeBytes(
    [side],
    manifest.layers.map(({ digest }) => digest),
  )
  return { rate: (LAYERS * LAYER_BYTES) / seconds, failed: 0 }
}
