import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startChild } from './child-process.ts'
import type { Running } from './child-process.ts'
import { freePort } from './free-port.ts'
import { makeFolder } from './own-files.ts'
import { registryEnvironment } from './registry-environment.ts'

const CONFIG = join(dirname(dirname(fileURLToPath(import.meta.url))), 'registry', 'config.yml')
/** Milliseconds between SIGTERM and SIGKILL. */
const STOP_MS = 3000

export interface RegistryChildOptions {
  readonly binary?: string
  readonly image?: string
  /** Folder of the images. */
  readonly folder: string
  /** File that the log is appended to; by default the folder's name with `.log`. */
  readonly log?: string
  readonly httpSecret: string
  /** Loopback port; a free one by default. */
  readonly port?: number
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** File of the authority's certificate. */
  readonly authority: string
  /** Called with the reason when the registry ends by itself. */
  readonly onDeath: (reason: string) => void
}

export interface RegistryChild extends Running {
  readonly url: string
}

/** Starts the registry as a child process on a loopback port. Throws when it does not serve. */
export async function startRegistry(options: RegistryChildOptions): Promise<RegistryChild> {
  if (!existsSync(options.folder)) makeFolder(options.folder)
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const running = await startChild(
    {
      name: 'the registry',
      ...commandOf(options, port),
      stopBy: [['SIGTERM', STOP_MS]],
      log: options.log ?? `${options.folder}.log`,
      isReady: () => answers(url),
    },
    options.onDeath,
  )
  return { ...running, url }
}

function commandOf(options: RegistryChildOptions, port: number) {
  const { binary, image, folder, authority } = options
  if (binary !== undefined) {
    const settings = registryEnvironment({ ...options, address: `127.0.0.1:${port}` })
    return { command: binary, args: ['serve', CONFIG], env: settings }
  }
  const settings = registryEnvironment({
    ...options,
    address: `0.0.0.0:${port}`,
    folder: '/images',
    authority: '/authority.pem',
  })
  // `--env NAME` without a value: a command line is readable to every user, and one value is a secret.
  const args = ['run', '--rm', '--init', '--user', `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`]
  args.push('--publish', `127.0.0.1:${port}:${port}`)
  const mounts = [`${folder}:/images`, `${authority}:/authority.pem:ro`, `${CONFIG}:/config.yml:ro`]
  for (const mount of mounts) args.push('--volume', mount)
  for (const name of Object.keys(settings)) args.push('--env', name)
  args.push(image ?? '', 'serve', '/config.yml')
  return { command: 'docker', args, env: { ...process.env, ...settings } }
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(`${url}/v2/`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  await response?.body?.cancel()
  return response?.status === 401
}
