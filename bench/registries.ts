import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../deploy/local/free-port.ts'
import type { RegistryChildOptions } from '../deploy/local/registry-child.ts'
import { startRegistry } from '../deploy/local/registry-child.ts'
import { bareRegistryConfig } from '../test-e2e/harness/bare-registry.ts'
import { respondsWith, startChild } from './child.ts'
import { atEnd } from './cleanup.ts'

export type RegistryOptions = Omit<RegistryChildOptions, 'binary' | 'image' | 'httpSecret' | 'onDeath'>

/**
 * Starts two registries on one storage: the deployed configuration, and one without authentication, as the baseline.
 * Returns their URLs.
 */
export async function startRegistries(folder: string, options: RegistryOptions) {
  const binary = process.env['REGISTRY_BINARY']
  if (!binary) throw new Error('no registry binary was found: set REGISTRY_BINARY to its path')
  const httpSecret = 'the-same-for-both-registries'
  let over = false
  const registry = await startRegistry({
    ...options,
    binary,
    httpSecret,
    onDeath: (reason) => {
      if (!over) process.stderr.write(`the registry ended (${reason})\n`)
    },
  })
  atEnd(() => {
    over = true
    return registry.stop()
  })

  const port = await freePort()
  const config = join(folder, 'bare-registry.yml')
  writeFileSync(config, bareRegistryConfig())
  const bareUrl = `http://127.0.0.1:${port}`
  await startChild({
    name: 'the bare registry',
    command: binary,
    args: ['serve', config],
    env: {
      REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
      REGISTRY_HTTP_SECRET: httpSecret,
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: options.folder,
    },
    log: join(folder, 'bare-registry.log'),
    isReady: () => respondsWith(`${bareUrl}/v2/`),
  })
  return { registryUrl: registry.url, bareUrl }
}
