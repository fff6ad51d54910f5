import { once } from 'node:events'
import { rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createAuthService, loadSigningKeys } from '@registry-manager/auth-service/embedding'
import type { Database } from '@registry-manager/database'
import { MIGRATING, connectPostgres, migrateToLatest, runBackupCommand } from '@registry-manager/database'
import { createImageManager } from '@registry-manager/image-manager/app'
import { createRegistryProxy } from '@registry-manager/registry-proxy/app'
import { createStorageWorker } from '@registry-manager/storage-worker/app'
import { explainError, findUnknownSettings } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import { knownSettings } from '../settings/schemas.ts'
import { banner } from './banner.ts'
import {
  BACKUP_CREDENTIAL,
  INTERNAL_URL_FILE,
  madeSecret,
  madeSecrets,
  takeDataFolder,
} from './data-folder.ts'
import { readConfig } from './embedded-config.ts'
import { ensureFirstAdministrator, forgetFirstPassword } from './first-administrator.ts'
import { ensureFree, freePort } from './free-port.ts'
import { createEmbeddedRouter } from './embedded-router.ts'
import { createInternalPort, removeUnfinishedBackups } from './internal-port.ts'
import type { Launch, Started } from './run-launcher.ts'
import { launch } from './run-launcher.ts'
import { keepRotating, watchStorage } from './logs.ts'
import { makeFolder, replaceOwnFile } from './own-files.ts'
import { openPglite } from './pglite.ts'
import { startRegistry } from './registry-child.ts'
import { prepareSigningKeys } from './signing-keys.ts'

/** Time limit for requests in progress after a signal, in milliseconds. */
const GRACE_MS = 1000

async function start({ say, atEnd, endWith }: Launch): Promise<Started> {
  const config = readConfig(process.env)
  for (const line of findUnknownSettings(Object.keys(process.env), knownSettings())) say(`warning: ${line}`)
  const { dataDir, storage, publicUrl, publicOrigin, issuer, service, realm, logLevel } = config
  // Checked before anything is created: a start that cannot succeed ends at once.
  await ensureFree(config.host, config.port, 'PORT')
  await ensureFree('127.0.0.1', config.internalPort, 'INTERNAL_PORT')
  atEnd(takeDataFolder(dataDir))
  removeUnfinishedBackups(dataDir)
  const logs = join(dataDir, 'logs')
  makeFolder(logs)
  atEnd(keepRotating(logs, say))
  const secrets = madeSecrets(dataDir)
  const serviceCredential = config.serviceCredential ?? secrets.serviceCredential

  const keysFolder = config.signingKeysDir ?? join(dataDir, 'signing-keys')
  if (await prepareSigningKeys(keysFolder)) say('created the signing keys')
  const keys = await loadSigningKeys(keysFolder)

  say('opening the database')
  const db = await openDatabase(config)
  atEnd(() => db.destroy())
  const password = await ensureFirstAdministrator(db, { dataDir, ...config.administrator }, say)

  const registryUrl = config.registry.url ?? (await startOwnRegistry())
  async function startOwnRegistry(): Promise<string> {
    say('starting the registry')
    const log = join(logs, 'registry.log')
    const registry = await startRegistry({
      ...config.registry,
      folder: join(dataDir, 'images'),
      log,
      httpSecret: secrets.registryHttpSecret,
      authority: join(keysFolder, 'ca.pem'),
      realm,
      service,
      issuer,
      onDeath: (how) => void endWith(`the registry ended (${how}); its log is ${log}`),
    })
    atEnd(registry.stop)
    atEnd(watchStorage({ log, folder: dataDir }, say))
    return registry.url
  }

  say('starting the services')
  // auth-service and image-manager call each other, so one port must be chosen before both listen.
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
  const { reconcileIntervalSeconds, reconcileConcurrency, tagHistoryDays, trashDays, collection } = config
  const { retentionIntervalSeconds } = config
  const background = { reconcileIntervalSeconds, reconcileConcurrency, retentionIntervalSeconds }
  const imageManager = await createImageManager(
    { ...shared, ...background, tagHistoryDays, trashDays, collection },
    { db },
  )
  await listenInside(imageManager.internalApp, imageManagerPort)
  const registryProxy = await createRegistryProxy({
    ...shared,
    imageManagerUrl,
    registryVolume: storage?.kind === 'volume' ? storage.folder : undefined,
    storageOrigins: config.storageOrigins,
    uploadSecret: config.uploadSecret ?? secrets.uploadSecret,
  })
  await listenInside(registryProxy.internalApp)
  const storageWorker =
    storage && (await createStorageWorker({ imageManagerUrl, serviceCredential, storage, logLevel }))
  if (storageWorker !== undefined) await listenInside(storageWorker.internalApp)
  const services = {
    authService: authService.publicApp,
    imageManager: imageManager.publicApp,
    registryProxy: registryProxy.publicApp,
  }
  await Promise.all(Object.values(services).map((app) => app.ready()))
  for (const app of Object.values(services)) atEnd(() => app.close())

  const apps = {
    'auth-service': authService.internalApp,
    'image-manager': imageManager.internalApp,
    'registry-proxy': registryProxy.internalApp,
    ...(storageWorker && { 'storage-worker': storageWorker.internalApp }),
  }
  const internalUrl = await listenInside(
    createInternalPort({
      apps,
      backupCredential: madeSecret(dataDir, BACKUP_CREDENTIAL).value,
      backup: (file) => runBackupCommand(db, 'backup', file),
      folder: dataDir,
      logLevel,
    }),
    config.internalPort,
  )
  const internalUrlFile = join(dataDir, INTERNAL_URL_FILE)
  replaceOwnFile(internalUrlFile, internalUrl)
  atEnd(() => rmSync(internalUrlFile, { force: true }))

  const front = createEmbeddedRouter(services)
  front.listen({ host: config.host, port: config.port })
  await once(front, 'listening')
  atEnd(async () => {
    front.close()
    front.closeIdleConnections()
    const force = setTimeout(() => front.closeAllConnections(), GRACE_MS)
    await once(front, 'close')
    clearTimeout(force)
  })

  if (publicUrl.startsWith('http:') && !['127.0.0.1', '::1', 'localhost'].includes(config.host)) {
    say(
      `warning: ${publicUrl} is plain http and ${config.host} is not loopback: passwords are sent unencrypted`,
    )
  }
  const { username } = config.administrator
  return {
    text: banner({ publicUrl, username, password, dataDir, internalUrl, names: Object.keys(apps), logs }),
    afterwards: () => forgetFirstPassword(dataDir),
  }
}

/** The database, with this version's schema. */
async function openDatabase({ dataDir, databaseUrl }: ReturnType<typeof readConfig>): Promise<Database> {
  const db =
    databaseUrl === undefined
      ? await openOwnDatabase(join(dataDir, 'database'))
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

async function openOwnDatabase(folder: string): Promise<Database> {
  try {
    return await openPglite(folder)
  } catch (error) {
    throw new Error(`the database in ${folder} cannot be opened: ${explainError(error)}`, { cause: error })
  }
}

launch(start)
