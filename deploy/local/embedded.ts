import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  createAuthService,
  createPasswordHasher,
  createSigningKeys,
  ensureAdministrator,
  loadSigningKeys,
} from '@registry-manager/auth-service/embedding'
import { connectPostgres, migrateToLatest, openPglite } from '@registry-manager/database'
import { createImageManager } from '@registry-manager/image-manager/app'
import { createRegistryProxy } from '@registry-manager/registry-proxy/app'
import { explainStartFailure } from '@registry-manager/service-kit'
import type { FastifyInstance } from 'fastify'
import { banner } from './banner.ts'
import { madeSecrets, takeDataFolder } from './data-folder.ts'
import { readConfig } from './embedded-config.ts'
import { freePort } from './free-port.ts'
import { createFront } from './front.ts'
import { startRegistry } from './registry-child.ts'

/** How long requests under way may go on once it is told to stop. */
const GRACE_MS = 1500
/** Then it ends, whatever is left. */
const STOP_MS = 4500

const say = (line: string) => process.stdout.write(`· ${line}\n`)
/** What has to be given back at the end, the last taken first. */
const closing: (() => unknown)[] = []

async function close(): Promise<void> {
  for (const give of closing.splice(0).toReversed()) {
    try {
      await give()
    } catch (error) {
      process.stderr.write(`while stopping: ${(error as Error).message}\n`)
    }
  }
}

async function endWith(line: string): Promise<never> {
  process.stderr.write(`${line}\n`)
  await close()
  process.exit(1)
}

async function start(): Promise<string> {
  const config = readConfig(process.env)
  const { dataDir, publicUrl, issuer, service, realm, logLevel } = config
  closing.push(takeDataFolder(dataDir))
  const secrets = madeSecrets(dataDir)
  const serviceCredential = config.serviceCredential ?? secrets.serviceCredential

  const keysFolder = config.signingKeysDir ?? join(dataDir, 'signing-keys')
  if (await createSigningKeys(keysFolder)) say('made the signing keys')
  const keys = await loadSigningKeys(keysFolder)

  say('opening the database')
  const db =
    config.databaseUrl === undefined
      ? await openPglite(join(dataDir, 'database'))
      : connectPostgres(config.databaseUrl)
  closing.push(() => db.destroy())
  await migrateToLatest(db)

  const registryUrl = config.registry.url ?? (await startOwnRegistry())
  async function startOwnRegistry(): Promise<string> {
    say('starting the registry')
    const registry = await startRegistry({
      ...config.registry,
      folder: join(dataDir, 'images'),
      httpSecret: secrets.registryHttpSecret,
      authority: join(keysFolder, 'ca.pem'),
      realm,
      service,
      issuer,
      onDeath: (reason) => void endWith(reason),
    })
    closing.push(registry.stop)
    return registry.url
  }

  say('starting the services')
  // auth-service and image-manager know each other: one port has to be known before both listen.
  const imageManagerPort = await freePort()
  const imageManagerUrl = `http://127.0.0.1:${imageManagerPort}`
  const authService = await createAuthService({ ...config, imageManagerUrl, serviceCredential }, { db, keys })
  const authServiceUrl = await listenInside(authService.internalApp)
  const shared = { issuer, service, realm, authServiceUrl, registryUrl, serviceCredential, logLevel }
  const { reconcileIntervalSeconds } = config
  const imageManager = await createImageManager({ ...shared, reconcileIntervalSeconds }, { db })
  await listenInside(imageManager.internalApp, imageManagerPort)
  const registryProxy = await createRegistryProxy({
    ...shared,
    imageManagerUrl,
    uploadSecret: config.uploadSecret ?? secrets.uploadSecret,
  })
  await listenInside(registryProxy.internalApp)
  const services = {
    authService: authService.publicApp,
    imageManager: imageManager.publicApp,
    registryProxy: registryProxy.publicApp,
  }
  await Promise.all(Object.values(services).map((app) => app.ready()))
  closing.push(...Object.values(services).map((app) => () => app.close()))

  const front = createFront(services)
  front.listen({ host: config.host, port: config.port })
  await once(front, 'listening')
  closing.push(async () => {
    front.close()
    front.closeIdleConnections()
    const force = setTimeout(() => front.closeAllConnections(), GRACE_MS)
    await once(front, 'close')
    clearTimeout(force)
  })
  // Last, so that a password which was made is shown: whatever could fail has not.
  let made: string | undefined
  const { username, password } = config.administrator
  const makePassword = () => password ?? (made = randomBytes(12).toString('base64url'))
  const first = await ensureAdministrator(db, createPasswordHasher(), username, makePassword)
  if (first.outcome === 'impossible') throw new Error(first.reason)
  if (first.outcome === 'exists' && password) say('ADMIN_PASSWORD is ignored: there is an administrator')

  if (publicUrl.startsWith('http:') && !['127.0.0.1', '::1', 'localhost'].includes(config.host)) {
    say(`warning: ${publicUrl} is plain http and ${config.host} is not loopback: passwords travel readable`)
  }
  return banner({ publicUrl, username, password: made, dataDir })
}

async function listenInside(app: FastifyInstance, port = 0): Promise<string> {
  closing.push(() => app.close())
  await app.listen({ host: '127.0.0.1', port })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

// A terminal and a supervisor may both tell us, and the launcher passes it on: one telling is enough, and more
// change nothing.
let stopping: Promise<void> | undefined
function stop(): void {
  if (stopping !== undefined) return
  say('stopping')
  setTimeout(() => process.exit(1), STOP_MS).unref()
  stopping = close().then(() => process.exit(0))
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
process.on('uncaughtException', (error) => void endWith(`a fault that nobody foresaw: ${error.stack}`))

start().then(
  (text) => process.stdout.write(text),
  (error: unknown) => endWith(explainStartFailure(error)),
)
