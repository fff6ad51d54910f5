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
/** For the slowest of them to be healthy. */
const START_MS = 240_000

/** Commands that `startCompose` needs, and their Debian packages. */
export const COMPOSE_COMMANDS = { 'docker-compose': 'docker-compose' }

/** What deploy/compose.yaml runs. */
export interface ComposeSystem {
  /** `host:port`, as clients write it. */
  readonly host: string
  readonly admin: Credentials
  /** The folder of its secrets. */
  readonly secrets: string
  /** The containers by the names of their services; the one of a service that has ended is not among them. */
  readonly containers: Readonly<Record<string, StartedTestContainer>>
  /** Runs curl with the authority of its certificate; answers the body. */
  curl(path: string, ...args: string[]): Promise<string>
}

/**
 * Brings up deploy/compose.yaml on an engine, with these images and with secrets and ports of its own, and waits until
 * all of it is healthy. It is gone, and its data with it, when the test ends.
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

  // It looks for the engine in this process's environment, would start a helper of its own, which cannot be had, and
  // ask for a network that the engine is run without.
  const settings = { TESTCONTAINERS_RYUK_DISABLED: 'true', TESTCONTAINERS_HOST_OVERRIDE: 'localhost' }
  Object.assign(process.env, engine.env, settings)
  const { DockerComposeEnvironment, Wait } = await import('testcontainers')
  const executable = { executablePath: findCommand('docker-compose'), standalone: true } as const
  // COMPOSE_COMPATIBILITY has every version of compose name containers as the first did.
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
  const names = ['postgres', 'auth-service', 'image-manager', 'registry-proxy', 'registry', 'nginx']
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
