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
import type { Database } from '@registry-manager/database'
import { MIGRATING, connectPostgres, migrateToLatest } from '@registry-manager/database'
import { createImageManager } from '@registry-manager/image-manager/app'
import { createRegistryProxy } from '@registry-manager/registry-proxy/app'
import type { FastifyInstance } from 'fastify'
import { banner } from './banner.ts'
import { madeSecrets, takeDataFolder } from './data-folder.ts'
import { readConfig } from './embedded-config.ts'
import { freePort } from './free-port.ts'
import { createFront } from './front.ts'
import type { Launch } from './launch.ts'
import { launch } from './launch.ts'
import { openPglite } from './pglite.ts'
import { startRegistry } from './registry-child.ts'

/** How long requests under way may go on once it is told to stop. */
const GRACE_MS = 1000

async function start({ say, atEnd, endWith }: Launch): Promise<string> {
  const config = readConfig(process.env)
  const { dataDir, publicUrl, publicOrigin, issuer, service, realm, logLevel } = config
  atEnd(takeDataFolder(dataDir))
  const secrets = madeSecrets(dataDir)
  const serviceCredential = config.serviceCredential ?? secrets.serviceCredential

  const keysFolder = config.signingKeysDir ?? join(dataDir, 'signing-keys')
  if (await createSigningKeys(keysFolder)) say('made the signing keys')
  const keys = await loadSigningKeys(keysFolder)

  say('opening the database')
  const db = await openDatabase(config)
  atEnd(() => db.destroy())

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
      onDeath: (how) => void endWith(`the registry beside us ended (${how})`),
    })
    atEnd(registry.stop)
    return registry.url
  }

  say('starting the services')
  // auth-service and image-manager know each other: one port has to be known before both listen.
  const imageManagerPort = await freePort()
  const imageManagerUrl = `http://127.0.0.1:${imageManagerPort}`
  const listenInside = async (app: FastifyInstance, port = 0): Promise<string> => {
    atEnd(() => app.close())
    await app.listen({ host: '127.0.0.1', port })
    return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  }
  const authService = await createAuthService({ ...config, imageManagerUrl, serviceCredential }, { db, keys })
  const authServiceUrl = await listenInside(authService.internalApp)
  const naming = { issuer, service, realm, publicOrigin }
  const shared = { ...naming, authServiceUrl, registryUrl, serviceCredential, logLevel }
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
  for (const app of Object.values(services)) atEnd(() => app.close())

  const front = createFront(services)
  front.listen({ host: config.host, port: config.port })
  await once(front, 'listening')
  atEnd(async () => {
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

/** The database, with this version's schema. */
async function openDatabase({ dataDir, databaseUrl }: ReturnType<typeof readConfig>): Promise<Database> {
  const db =
    databaseUrl === undefined
      ? await openPglite(join(dataDir, 'database'))
      : connectPostgres(databaseUrl, MIGRATING)
  try {
    await migrateToLatest(db)
  } catch (error) {
    await db.destroy()
    throw error
  }
  if (databaseUrl === undefined) return db
  await db.destroy()
  return connectPostgres(databaseUrl)
}

launch(start)
