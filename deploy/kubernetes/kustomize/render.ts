import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../../../test-e2e/harness/run-command.ts'
import type { Manifest } from './manifest.ts'
import { manifestsOf } from './manifest.ts'
import { findKustomize } from './tools.ts'

const DEPLOY = fileURLToPath(new URL('../..', import.meta.url))

/** Overlays that a user would write for the components, by name. */
const WITH_COMPONENTS = {
  'with-content-from-registry':
    '{resources: [../production], components: [../../components/content-from-registry]}',
  'with-redirects': '{resources: [../production], components: [../../components/s3-redirects]}',
  'with-directory': '{resources: [../production], components: [../../components/directory]}',
  'with-token-issuers': '{resources: [../production], components: [../../components/token-issuers]}',
  'with-components': `
resources: [../quickstart]
components: [../../components/backup, ../../components/monitoring, ../../components/image-pull-secret]
`,
}
const WRITTEN = ['quickstart', 'production', 'ingress-controller', 'gateway-api'] as const

export type Overlay = (typeof WRITTEN)[number] | keyof typeof WITH_COMPONENTS

/**
 * Copies what kustomize reads into a folder, makes the secrets that the quickstart needs, and renders every overlay
 * there. Returns the objects of each, and the folder of those secrets.
 */
export async function renderInto(deploy: string): Promise<{
  readonly overlays: Readonly<Record<Overlay, readonly Manifest[]>>
  readonly secrets: string
}> {
  for (const folder of ['nginx', 'registry', 'kubernetes']) {
    const filter = (path: string) => !path.endsWith('/test') && !path.endsWith('/secrets')
    await cp(join(DEPLOY, folder), join(deploy, folder), { recursive: true, filter })
  }
  const folder = join(deploy, 'kubernetes/overlays')
  const secrets = join(folder, 'quickstart/secrets')
  await mkdir(secrets, { recursive: true })
  await runCommand(process.execPath, [join(DEPLOY, 'local/make-secrets.ts'), secrets])
  for (const [name, text] of Object.entries(WITH_COMPONENTS))
    await writeKustomization(join(folder, name), text)
  const overlays: Record<string, readonly Manifest[]> = {}
  for (const name of [...WRITTEN, ...Object.keys(WITH_COMPONENTS)])
    overlays[name] = await render(join(folder, name))
  return { overlays: overlays as Record<Overlay, readonly Manifest[]>, secrets }
}

/** Makes a folder with this kustomization.yaml. */
export async function writeKustomization(folder: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'kustomization.yaml'), text)
}

/** The objects that a kustomization makes. Throws when kustomize prints a warning (such as a deprecated field). */
export async function render(folder: string): Promise<readonly Manifest[]> {
  const found = await findKustomize()
  if (found === undefined)
    throw new Error(
      'neither kustomize 5 nor a kubectl that contains it was found: install kubectl 1.27 or later',
    )
  const [command = '', ...args] = found
  const { stdout, stderr } = await runCommand(command, [...args, folder])
  if (stderr !== '') throw new Error(`kustomize warns: ${stderr}`)
  return manifestsOf(stdout)
}
