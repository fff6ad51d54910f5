import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { StartedTestContainer } from 'testcontainers'
import { freePort } from '../../deploy/local/free-port.ts'
import { findCommand } from './debian-packages.ts'
import type { DockerEngine } from './docker-engine.ts'
import { runCommand } from './run-command.ts'
import type { Credentials } from './system.ts'

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url))
const MAKE_SECRETS = join(DEPLOY, 'local/make-secrets.ts')
const PROJECT = 'under-test'
/** Until the slowest container is healthy. */
const START_MS = 240_000

/** Commands that `startCompose` needs, with their Debian packages. */
export const COMPOSE_COMMANDS = { 'docker-compose': 'docker-compose' }

/** The system that deploy/compose.yaml runs. */
export interface ComposeSystem {
  /** `host:port`, as clients write it. */
  readonly host: string
  readonly admin: Credentials
  /** The folder of the secrets. */
  readonly secrets: string
  /** The running containers by the names of their services. Services that have ended are missing. */
  readonly containers: Readonly<Record<string, StartedTestContainer>>
  /** Runs curl with the authority of the system's certificate. Returns the body. */
  curl(path: string, ...args: string[]): Promise<string>
}

/**
 * Runs deploy/compose.yaml on an engine with these images and its own secrets and ports. Returns when all containers
 * are healthy. Everything is removed when the test ends.
 */
export async function startCompose(
  t: Test,
  engine: DockerEngine,
  images: Readonly<Record<string, string>>,
): Promise<ComposeSystem> {
  const folder = await mkdtemp(join(tmpdir(), 'compose-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const secrets = join(folder, 'secrets')
  for (const name of ['compose.yaml', 'nginx', 'registry']) {
    await cp(join(DEPLOY, name), join(folder, name), { recursive: true })
  }
  const [httpsPort, registryPort] = [String(await freePort()), String(await freePort())]
  const host = `localhost:${httpsPort}`
  await runCommand(process.execPath, [MAKE_SECRETS, secrets], { env: { PUBLIC_HOST: host } })

  // testcontainers finds the engine in this process's environment. Ryuk, its helper container, cannot be pulled here,
  // and the engine runs without the default bridge network.
  const settings = { TESTCONTAINERS_RYUK_DISABLED: 'true', TESTCONTAINERS_HOST_OVERRIDE: 'localhost' }
  Object.assign(process.env, engine.env, settings)
  const { DockerComposeEnvironment, Wait } = await import('testcontainers')
  const executable = { executablePath: findCommand('docker-compose'), standalone: true } as const
  // COMPOSE_COMPATIBILITY makes every version of compose name containers like version 1.
  const environment = await new DockerComposeEnvironment(folder, 'compose.yaml')
    .withProjectName(PROJECT)
    .withClientOptions({ executable })
    .withEnvironment({
      ...images,
      COMPOSE_COMPATIBILITY: 'true',
      PUBLIC_HOST: host,
      HTTPS_PORT: httpsPort,
      REGISTRY_PORT: registryPort,
    })
    .withDefaultWaitStrategy(Wait.forHealthCheck())
    .withStartupTimeout(START_MS)
    .up()
  t.teardown(() => environment.down({ removeVolumes: true }))
  const services = ['auth-service', 'image-manager', 'registry-proxy', 'storage-worker']
  const names = ['postgres', ...services, 'registry', 'nginx']
  return {
    host,
    admin: { username: 'admin', password: await readFile(join(secrets, 'admin-password'), 'utf8') },
    secrets,
    containers: Object.fromEntries(
      names.map((name) => [name, environment.getContainer(`${PROJECT}_${name}_1`)]),
    ),
    async curl(path, ...args) {
      const authority = join(secrets, 'tls', 'ca.crt')
      const all = ['--silent', '--show-error', '--cacert', authority, ...args, `https://${host}${path}`]
      return (await runCommand('curl', all)).stdout
    },
  }
}
