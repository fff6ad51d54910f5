import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { startChild } from '../../deploy/local/child-process.ts'
import { freePort } from '../../deploy/local/free-port.ts'
import { findRegistry } from '../../deploy/local/registry-binary.js'
import type { System } from './system.ts'

const CONFIG = fileURLToPath(new URL('../../deploy/registry/config.yml', import.meta.url))

/** Returns the registry's configuration without its `auth` section. */
export function bareRegistryConfig(): string {
  const config = readFileSync(CONFIG, 'utf8')
  const stripped = config.replace(/^auth:\n(?:[ \t#].*\n)*/m, '')
  if (/^auth:/m.test(stripped) || stripped === config) throw new Error(`${CONFIG} has no auth section`)
  return stripped
}

/**
 * Runs the registry on a folder without authentication, or on the storage of these variables, so that a test can change
 * it directly. It stops when the test ends, or earlier by `stop`. `asSystem` is for harness functions that push.
 */
export async function startBareRegistry(t: Test, storage: string | Readonly<Record<string, string>>) {
  const binary = findRegistry(process.env, t.comment).REGISTRY_BINARY ?? process.env['REGISTRY_BINARY']
  if (binary === undefined) throw new Error('this test needs a registry binary: set REGISTRY_BINARY')
  const own = await mkdtemp(join(tmpdir(), 'bare-registry-'))
  const config = join(own, 'config.yml')
  await writeFile(config, bareRegistryConfig())
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const { stop } = await startChild({
    name: 'the bare registry',
    command: binary,
    args: ['serve', config],
    env: {
      // Without this process' own variables: distribution's S3 driver panics with AWS_CA_BUNDLE.
      REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
      REGISTRY_HTTP_SECRET: 'a secret that uploads are signed with',
      ...(typeof storage === 'string' ? { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: storage } : storage),
    },
    log: join(own, 'log'),
    isReady: async () => {
      const response = await fetch(`${url}/v2/`).catch(() => undefined)
      return response?.status === 200
    },
  })
  t.teardown(async () => {
    await stop()
    await rm(own, { recursive: true })
  })
  return { url, asSystem: { url } as System, stop }
}
