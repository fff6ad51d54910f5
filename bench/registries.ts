import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../deploy/local/free-port.ts'
import type { RegistryChildOptions } from '../deploy/local/registry-child.ts'
import { startRegistry } from '../deploy/local/registry-child.ts'
import { bareRegistryConfig } from '../test-e2e/harness/bare-registry.ts'
import { respondsWith, startChild } from './child.ts'
import { atEnd, temporaryFolder } from './cleanup.ts'

export type RegistryOptions = Omit<RegistryChildOptions, 'binary' | 'image' | 'httpSecret' | 'onDeath'>

/**
 * Starts two registries on one storage: the deployed configuration, and one without authentication, as the baseline.
 * Returns their URLs.
 */
export async function startRegistries(options: RegistryOptions) {
  const binary = registryBinary()
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

  const bareUrl = await startBareRegistry(binary, options.folder, httpSecret)
  return { registryUrl: registry.url, bareUrl }
}

/** Starts a registry without authentication on a folder of images. Returns its URL. */
export async function startBareRegistry(
  binary: string,
  images: string,
  httpSecret = 'of-this-registry-alone',
): Promise<string> {
  const [folder, port] = [await temporaryFolder(), await freePort()]
  const config = join(folder, 'bare-registry.yml')
  writeFileSync(config, bareRegistryConfig())
  const url = `http://127.0.0.1:${port}`
  await startChild({
    name: 'the bare registry',
    command: binary,
    args: ['serve', config],
    env: {
      REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
      REGISTRY_HTTP_SECRET: httpSecret,
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: images,
    },
    log: join(folder, 'bare-registry.log'),
    isReady: () => respondsWith(`${url}/v2/`),
  })
  return url
}

/** Returns the path of distribution's program. Throws if `npm run bench` found none. */
export function registryBinary(): string {
  const binary = process.env['REGISTRY_BINARY']
  if (!binary) throw new Error('no registry binary was found: set REGISTRY_BINARY to its path')
  return binary
}
